import KubernetesAPI

extension PodValidation {
  private static let identifiers: ClosedRange<Int64> = 0...Int64(Int32.max)

  mutating func checkPodSecurity(_ path: FieldPath) {
    let spec = pod.spec
    if spec.shareProcessNamespace == true, spec.hostPID == true {
      add(path["shareProcessNamespace"], "must not be true where hostPID is true")
    }
    if spec.hostUsers == false {
      for (name, isSet) in [("hostNetwork", spec.hostNetwork), ("hostPID", spec.hostPID), ("hostIPC", spec.hostIPC)] where isSet == true {
        add(path[name], "must not be true where hostUsers is false")
      }
    }
    guard let context = spec.securityContext else { return }
    let path = path["securityContext"]
    check(path["runAsUser"], context.runAsUser, in: Self.identifiers)
    check(path["runAsGroup"], context.runAsGroup, in: Self.identifiers)
    check(path["fsGroup"], context.fsGroup, in: Self.identifiers)
    for (index, group) in (context.supplementalGroups ?? []).enumerated() {
      check(path["supplementalGroups"][index], group, in: Self.identifiers)
    }
    check(path["supplementalGroupsPolicy"], context.supplementalGroupsPolicy, oneOf: ["Merge", "Strict"])
    check(path["fsGroupChangePolicy"], context.fsGroupChangePolicy, oneOf: ["Always", "OnRootMismatch"])
    check(path["seccompProfile"], context.seccompProfile)
    check(path["appArmorProfile"], context.appArmorProfile)
    checkSysctls(path["sysctls"], context.sysctls ?? [])
  }

  mutating func checkSecurity(of container: Container, _ path: FieldPath) {
    guard let context = container.securityContext else { return }
    check(path["runAsUser"], context.runAsUser, in: Self.identifiers)
    check(path["runAsGroup"], context.runAsGroup, in: Self.identifiers)
    check(path["procMount"], context.procMount, oneOf: ["Default", "Unmasked"])
    if context.procMount == "Unmasked", pod.spec.hostUsers != false {
      add(path["procMount"], "\"Unmasked\" needs hostUsers to be false")
    }
    check(path["seccompProfile"], context.seccompProfile)
    check(path["appArmorProfile"], context.appArmorProfile)
    guard context.allowPrivilegeEscalation == false else { return }
    let field = path["allowPrivilegeEscalation"]
    if context.privileged == true { add(field, "must not be false where privileged is true") }
    if context.capabilities?.add?.contains(where: { $0 == "SYS_ADMIN" || $0 == "CAP_SYS_ADMIN" }) == true {
      add(field, "must not be false where capabilities.add has SYS_ADMIN")
    }
  }

  private mutating func check(_ path: FieldPath, _ profile: SeccompProfile?) {
    guard let profile else { return }
    checkProfile(path, type: profile.type, localhost: profile.localhostProfile)
    if profile.type == "Localhost", let file = profile.localhostProfile { checkRelative(path["localhostProfile"], file) }
  }

  private mutating func check(_ path: FieldPath, _ profile: AppArmorProfile?) {
    guard let profile else { return }
    checkProfile(path, type: profile.type, localhost: profile.localhostProfile)
  }

  private mutating func checkProfile(_ path: FieldPath, type: String, localhost: String?) {
    check(path["type"], type, oneOf: ["RuntimeDefault", "Unconfined", "Localhost"])
    let isNamed = localhost?.isEmpty == false
    if type == "Localhost" && !isNamed { add(path["localhostProfile"], "is missing: the type is Localhost") }
    if type != "Localhost" && isNamed { add(path["localhostProfile"], "must be empty where the type isn't Localhost") }
  }

  private mutating func checkSysctls(_ path: FieldPath, _ sysctls: [Sysctl]) {
    var names: Set<String> = []
    for (index, sysctl) in sysctls.enumerated() {
      let path = path[index]["name"]
      let name = sysctl.name.replacing("/", with: ".")
      let isPlain = name.utf8.allSatisfy { byte in
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2E || byte == 0x2D || byte == 0x5F
      }
      if name.isEmpty || name.utf8.count > 253 || !isPlain {
        add(path, "\"\(sysctl.name)\" is no name of a sysctl, e.g. net.ipv4.ip_forward")
      }
      if !names.insert(name).inserted { add(path, "\"\(sysctl.name)\" is set twice") }
      if pod.spec.hostNetwork == true, name.hasPrefix("net.") { add(path, "\"\(sysctl.name)\" can't be set where hostNetwork is true") }
      let isInterprocess =
        name.hasPrefix("kernel.shm") || name.hasPrefix("kernel.msg") || name == "kernel.sem" || name.hasPrefix("fs.mqueue.")
      if pod.spec.hostIPC == true, isInterprocess { add(path, "\"\(sysctl.name)\" can't be set where hostIPC is true") }
    }
  }
}
