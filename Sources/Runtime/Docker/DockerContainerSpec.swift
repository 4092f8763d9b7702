/// A pod's container as one that joins its sandbox's namespaces.
enum DockerContainerSpec {
  /// - Parameter runtime: The sandbox's OCI runtime; empty for the engine's default.
  static func request(
    _ config: CRIContainerConfig, sandboxID: String, sandboxConfig: CRIPodSandboxConfig, runtime: String, oomScore: Int64,
    logOptions: [String: String]
  ) throws(RuntimeError) -> DockerContainerRequest {
    let security = config.linux.securityContext
    var request = DockerContainerRequest()
    request.image = config.image.image
    request.entrypoint = config.command.isEmpty ? nil : config.command
    request.command = config.args.isEmpty ? nil : config.args
    request.environment = config.envs.isEmpty ? nil : config.envs.map { "\($0.key)=\($0.value)" }
    request.workingDirectory = config.workingDir.isEmpty ? nil : config.workingDir
    request.user = try DockerUser.text(
      user: security.hasRunAsUser ? security.runAsUser.value : nil, name: security.runAsUsername,
      group: security.hasRunAsGroup ? security.runAsGroup.value : nil, operation: "CreateContainer")
    request.tty = config.tty
    request.opensStdin = config.stdin
    request.stdinOnce = config.stdinOnce
    request.labels = DockerLabel.encode(labels: config.labels, annotations: config.annotations, kind: .container)
    request.labels[DockerLabel.sandboxID] = sandboxID
    if !config.logPath.isEmpty, !sandboxConfig.logDirectory.isEmpty {
      request.labels[DockerLabel.logPath] = join(sandboxConfig.logDirectory, config.logPath)
    }

    setNamespaces(&request.host, security.namespaceOptions, sandboxID: sandboxID)
    setMounts(&request.host, config.mounts)
    request.host.devices =
      config.devices.isEmpty
      ? nil
      : config.devices.map {
        .init(hostPath: $0.hostPath, containerPath: $0.containerPath, permissions: $0.permissions.isEmpty ? "rwm" : $0.permissions)
      }
    request.host.resources = DockerResources(config.linux.resources)
    request.host.oomScoreAdj = oomScore
    request.host.cgroupParent = DockerSandboxSpec.cgroupParent(sandboxConfig.linux.cgroupParent)
    request.host.logConfig = .init(type: "json-file", config: logOptions)
    request.host.runtime = runtime.isEmpty ? nil : runtime
    if config.linux.hasSecurityContext { try setSecurity(&request.host, security) }
    return request
  }

  /// Joined to the sandbox's network, a container has its host name, hosts file and resolver file too.
  static func setNamespaces(_ host: inout DockerHostConfig, _ namespaces: CRINamespaceOption, sandboxID: String) {
    let sandbox = "container:\(sandboxID)"
    host.networkMode = sandbox
    host.ipcMode = namespaces.ipc == .node ? "host" : sandbox
    host.utsMode = namespaces.network == .node ? "host" : nil
    switch namespaces.pid {
    case .pod: host.pidMode = sandbox
    case .node: host.pidMode = "host"
    case .target: host.pidMode = "container:\(namespaces.targetID)"
    case .container, .UNRECOGNIZED: host.pidMode = nil
    }
  }

  static func setMounts(_ host: inout DockerHostConfig, _ mounts: [CRIMount]) {
    var binds: [String] = []
    var others: [DockerHostConfig.Mount] = []
    for mount in mounts {
      let propagation: String? =
        switch mount.propagation {
        case .propagationHostToContainer: "rslave"
        case .propagationBidirectional: "rshared"
        case .propagationPrivate, .UNRECOGNIZED: nil
        }
      if mount.hostPath.contains(":") || mount.containerPath.contains(":") {
        others.append(
          .init(
            type: "bind", source: mount.hostPath, target: mount.containerPath, readOnly: mount.readonly,
            bindOptions: propagation.map { .init(propagation: $0) }))
      } else {
        let options = [mount.readonly ? "ro" : nil, mount.selinuxRelabel ? "Z" : nil, propagation].compactMap { $0 }
        let suffix = options.isEmpty ? "" : ":" + options.joined(separator: ",")
        binds.append("\(mount.hostPath):\(mount.containerPath)\(suffix)")
      }
    }
    host.binds = binds.isEmpty ? nil : binds
    host.mounts = others.isEmpty ? nil : others
  }

  static func setSecurity(_ host: inout DockerHostConfig, _ security: CRILinuxContainerSecurityContext) throws(RuntimeError) {
    let capabilities = security.capabilities
    host.privileged = security.privileged ? true : nil
    host.readonlyRootfs = security.readonlyRootfs ? true : nil
    host.addedCapabilities = capabilities.addCapabilities.isEmpty ? nil : capabilities.addCapabilities
    host.droppedCapabilities = capabilities.dropCapabilities.isEmpty ? nil : capabilities.dropCapabilities
    host.addedGroups = security.supplementalGroups.isEmpty ? nil : security.supplementalGroups.map(String.init)
    let options = try DockerSecurityOptions.options(security)
    host.securityOptions = options.isEmpty ? nil : options
    // CRI's lists are complete: an empty one masks nothing.
    host.maskedPaths = security.privileged ? [] : security.maskedPaths
    host.readonlyPaths = security.privileged ? [] : security.readonlyPaths
  }

  private static func join(_ folder: String, _ path: String) -> String {
    folder.hasSuffix("/") ? folder + path : "\(folder)/\(path)"
  }
}
