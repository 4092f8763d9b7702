import KubernetesAPI

/// Which kernel settings pods may have.
struct SysctlAllowlist: Sendable, Hashable {
  /// The namespace a setting belongs to; without it, a change would reach the whole host.
  enum Namespace: String, Sendable, Hashable {
    case ipc, net
  }

  struct InvalidPattern: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String
  }

  private var names: Set<String> = []
  private var prefixes: Set<String> = []

  /// - Parameter unsafe: The setting `allowedUnsafeSysctls`: names, or beginnings with a `*` at the end.
  init(unsafe patterns: [String] = [], kernel: KernelVersion) throws(InvalidPattern) {
    for (name, version) in Self.safe where version <= kernel { names.insert(name) }
    for pattern in patterns {
      let name = Self.normalise(pattern)
      let isPrefix = name.hasSuffix("*")
      let stem = isPrefix ? String(name.dropLast()) : name
      guard !stem.contains("*"), Self.isValid(isPrefix && stem.hasSuffix(".") ? String(stem.dropLast()) : stem) else {
        throw InvalidPattern(
          description: "allowedUnsafeSysctls: \"\(pattern)\" is no name of a sysctl; allowed are names such as net.core.somaxconn "
            + "and beginnings such as net.ipv4.*")
      }
      guard Self.namespace(of: stem) != nil else {
        throw InvalidPattern(
          description: "allowedUnsafeSysctls: the sysctls \"\(pattern)\" are not known to be namespaced; allowed are kernel.shm*, "
            + "kernel.msg*, kernel.sem, fs.mqueue.* and net.*")
      }
      if isPrefix { prefixes.insert(stem) } else { names.insert(stem) }
    }
  }

  /// Refuses a pod with a setting that isn't allowed, or that would be the host's.
  func admit(_ pod: Pod) -> AdmissionRejection? {
    for sysctl in pod.spec.securityContext?.sysctls ?? [] {
      let name = Self.normalise(sysctl.name)
      guard names.contains(name) || prefixes.contains(where: { name.hasPrefix($0) }) else {
        return forbidden("\"\(name)\" not allowlisted")
      }
      guard let namespace = Self.namespace(of: name) else { continue }
      let isShared = namespace == .ipc ? pod.spec.hostIPC == true : pod.spec.hostNetwork == true
      if isShared { return forbidden("\"\(name)\" not allowed with host \(namespace.rawValue) enabled") }
    }
    return nil
  }

  private func forbidden(_ why: String) -> AdmissionRejection {
    AdmissionRejection(reason: "SysctlForbidden", message: "forbidden sysctl: \(why)")
  }

  /// With dots between its parts: `net/ipv4/conf/eth0.1/rp_filter` is `net.ipv4.conf.eth0/1.rp_filter`.
  static func normalise(_ name: String) -> String {
    guard let separator = name.first(where: { $0 == "." || $0 == "/" }), separator == "/" else { return name }
    return String(name.map { $0 == "/" ? "." : $0 == "." ? "/" : $0 })
  }

  static func namespace(of name: String) -> Namespace? {
    if name.hasPrefix("net.") { return .net }
    if name == "kernel.sem" { return .ipc }
    return ["kernel.shm", "kernel.msg", "fs.mqueue."].contains { name.hasPrefix($0) } ? .ipc : nil
  }

  private static func isValid(_ name: String) -> Bool {
    let parts = name.split(omittingEmptySubsequences: false) { $0 == "." || $0 == "/" }
    return name.utf8.count <= 253
      && parts.allSatisfy { part in
        part.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
          && part.first.map { $0 != "-" && $0 != "_" } == true
      }
  }

  /// What a pod can't use against others, and the kernel version that namespaced it.
  private static let safe: [(name: String, since: KernelVersion)] = [
    ("kernel.shm_rmid_forced", KernelVersion(major: 0, minor: 0)),
    ("net.ipv4.ip_local_port_range", KernelVersion(major: 0, minor: 0)),
    ("net.ipv4.tcp_syncookies", KernelVersion(major: 0, minor: 0)),
    ("net.ipv4.ping_group_range", KernelVersion(major: 0, minor: 0)),
    ("net.ipv4.ip_unprivileged_port_start", KernelVersion(major: 0, minor: 0)),
    ("net.ipv4.ip_local_reserved_ports", KernelVersion(major: 3, minor: 16)),
    ("net.ipv4.tcp_keepalive_time", KernelVersion(major: 4, minor: 5)),
    ("net.ipv4.tcp_keepalive_intvl", KernelVersion(major: 4, minor: 5)),
    ("net.ipv4.tcp_keepalive_probes", KernelVersion(major: 4, minor: 5)),
    ("net.ipv4.tcp_fin_timeout", KernelVersion(major: 4, minor: 6)),
    ("net.ipv4.tcp_rmem", KernelVersion(major: 4, minor: 15)),
    ("net.ipv4.tcp_wmem", KernelVersion(major: 4, minor: 15)),
  ]
}
