/// A sandbox as a container of the pause image.
enum DockerSandboxSpec {
  static func request(
    _ config: CRIPodSandboxConfig, image: String, runtime: String, oomScore: Int64, logOptions: [String: String]
  ) throws(RuntimeError) -> DockerContainerRequest {
    let security = config.linux.securityContext
    let namespaces = security.namespaceOptions
    let inHostNetwork = namespaces.network == .node
    var request = DockerContainerRequest()
    request.image = image
    request.labels = DockerLabel.encode(labels: config.labels, annotations: config.annotations, kind: .sandbox)
    if !inHostNetwork {
      request.hostname = config.hostname.isEmpty ? nil : config.hostname
      let ports = portBindings(config.portMappings)
      request.exposedPorts = ports.isEmpty ? nil : ports.mapValues { _ in DockerContainerRequest.Empty() }
      request.host.portBindings = ports.isEmpty ? nil : ports
    }
    request.user = try DockerUser.text(
      user: security.hasRunAsUser ? security.runAsUser.value : nil, name: "",
      group: security.hasRunAsGroup ? security.runAsGroup.value : nil, operation: "RunPodSandbox")
    request.host.networkMode = inHostNetwork ? "host" : "default"
    request.host.pidMode = namespaces.pid == .node ? "host" : nil
    // Containers can only join an IPC namespace that is marked so.
    request.host.ipcMode = namespaces.ipc == .node ? "host" : "shareable"
    request.host.sysctls = config.linux.sysctls.isEmpty ? nil : config.linux.sysctls
    request.host.cgroupParent = cgroupParent(config.linux.cgroupParent)
    request.host.readonlyRootfs = security.readonlyRootfs ? true : nil
    request.host.addedGroups = security.supplementalGroups.isEmpty ? nil : security.supplementalGroups.map(String.init)
    // The pause process needs nothing of what a privileged pod is given: it keeps the engine's own seccomp and AppArmor profiles.
    request.host.securityOptions =
      ["no-new-privileges"] + (security.hasSelinuxOptions ? DockerSecurityOptions.selinux(security.selinuxOptions) : [])
    request.host.oomScoreAdj = oomScore
    request.host.resources.cpuShares = 2
    request.host.logConfig = .init(type: "json-file", config: logOptions)
    request.host.runtime = runtime.isEmpty ? nil : runtime
    return request
  }

  /// Ports without a host port are reachable at the pod's address and need nothing.
  static func portBindings(_ mappings: [CRIPortMapping]) -> [String: [DockerHostConfig.PortBinding]] {
    var bindings: [String: [DockerHostConfig.PortBinding]] = [:]
    for mapping in mappings where mapping.hostPort > 0 {
      let proto =
        switch mapping.protocol {
        case .udp: "udp"
        case .sctp: "sctp"
        default: "tcp"
        }
      bindings["\(mapping.containerPort)/\(proto)", default: []].append(
        .init(hostIP: mapping.hostIp, hostPort: String(mapping.hostPort)))
    }
    return bindings
  }

  /// With the systemd driver Docker takes a slice's own name, which holds those of its parents.
  static func cgroupParent(_ path: String) -> String? {
    guard !path.isEmpty else { return nil }
    guard path.hasSuffix(".slice"), let name = path.split(separator: "/").last else { return path }
    return String(name)
  }
}

/// Whom a process runs as, in Docker's words: `uid`, `uid:gid`, `name`, `name:gid`.
enum DockerUser {
  /// nil: as the image says.
  static func text(user: Int64?, name: String, group: Int64?, operation: String) throws(RuntimeError) -> String? {
    let user = user.map { String($0) } ?? (name.isEmpty ? nil : name)
    guard let group else { return user }
    guard let user else {
      throw RuntimeError(.invalidArgument, operation: operation, message: "run_as_group \(group) needs run_as_user or run_as_username")
    }
    return "\(user):\(group)"
  }
}
