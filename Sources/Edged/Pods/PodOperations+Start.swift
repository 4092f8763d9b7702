import KubernetesAPI
import Runtime

/// What a pod's containers are started in.
struct PodSetup: Sendable {
  var sandboxID: String
  var sandboxConfig: CRIPodSandboxConfig
  /// The host's in the host's network.
  var ips: [String]
  var volumes: [String: PreparedVolume]
  /// What the pod refers to.
  var objects: PodObjects
  /// The pod's own logins at registries.
  var pullSecrets: [RegistryCredentials]
}

extension PodOperations {
  // MARK: The pod

  /// Makes everything that the pod's containers need: directories, control group, volumes and, if `newSandboxAttempt` is given, a
  /// sandbox.
  func prepare(_ pod: Pod, _ record: PodRecord, newSandboxAttempt: UInt32?) async throws -> PodSetup {
    if newSandboxAttempt != nil, let name = pod.spec.runtimeClassName, !name.isEmpty {
      let error = UnknownRuntimeClass(name: name)
      recordSandboxFailure(pod, error)
      throw error
    }
    try telling(pod, "FailedToMakePodDataDirectories", "error making pod data directories") {
      try PodDirectories(paths: paths).create(for: pod)
    }
    try telling(pod, "FailedToCreatePodContainer", "unable to ensure pod container exists") {
      try cgroups.ensure(podUID: pod.uid, qos: QOSClass.of(pod).cgroup, limits: blueprint.resources.podCgroup(pod))
    }
    async let gathered = gather(pod, addresses(of: pod, record))

    let ready = record.readySandboxes.first
    let config = try sandboxConfig(pod, attempt: newSandboxAttempt ?? ready?.attempt ?? 0, isNew: newSandboxAttempt != nil)
    let sandbox: SandboxRecord
    if newSandboxAttempt == nil, let ready {
      sandbox = ready
    } else {
      sandbox = try await createSandbox(pod, config)
    }
    let ips = pod.spec.hostNetwork == true ? node.hostIPs : sandbox.ips
    let (objects, volumes) = try await gathered
    return PodSetup(
      sandboxID: sandbox.id, sandboxConfig: config, ips: ips, volumes: volumes, objects: objects,
      pullSecrets: pullSecrets(of: pod, objects))
  }

  private func gather(_ pod: Pod, _ ips: [String]) async throws -> (PodObjects, [String: PreparedVolume]) {
    let objects = try await objects.objects(of: pod)
    return (objects, try await setUpVolumes(of: pod, ips, objects))
  }

  func pullSecrets(of pod: Pod, _ objects: PodObjects) -> [RegistryCredentials] {
    let names = (pod.spec.imagePullSecrets ?? []).compactMap(\.name).filter { !$0.isEmpty }
    let (logins, failed) = objects.pullSecrets(names)
    if !failed.isEmpty {
      events.record(
        pod, fieldPath: nil, .warning, reason: "FailedToRetrieveImagePullSecret",
        message: "Unable to retrieve some image pull secrets (\(failed.joined(separator: ", "))); "
          + "attempting to pull the image may not succeed.")
    }
    return logins
  }

  private func telling(_ pod: Pod, _ reason: String, _ what: String, _ step: () throws -> Void) throws {
    do {
      try step()
    } catch {
      events.record(pod, fieldPath: nil, .warning, reason: reason, message: "\(what): \(error)")
      throw error
    }
  }

  func setUpVolumes(of pod: Pod, _ ips: [String], _ objects: PodObjects) async throws -> [String: PreparedVolume] {
    do {
      return try await volumes.setUp(pod, downward: DownwardAPI(pod: pod, node: node, podIPs: ips), objects: objects)
    } catch {
      // Of a volume that still waits after a failure nothing new is to be said.
      let isNew = (error as? VolumeSetUpError)?.isNew ?? true
      if isNew, !Task.isCancelled { events.record(pod, fieldPath: nil, .warning, reason: "FailedMount", message: "\(error)") }
      throw error
    }
  }

  private func sandboxConfig(_ pod: Pod, attempt: UInt32, isNew: Bool) throws -> CRIPodSandboxConfig {
    do {
      let dns = try blueprint.dns(of: pod)
      for event in dns.events where isNew && event.subject == .pod {
        events.record(pod, fieldPath: nil, .warning, reason: event.reason.rawValue, message: event.message)
      }
      return blueprint.sandboxes.build(
        pod, attempt: attempt, hostname: try blueprint.hostname(of: pod).kernelName, dns: dns.config,
        cgroupParent: cgroups.cgroupParent(podUID: pod.uid, qos: QOSClass.of(pod).cgroup))
    } catch {
      recordSandboxFailure(pod, error)
      throw error
    }
  }

  /// Runtime classes don't reach the node: nothing says which handler one stands for.
  private struct UnknownRuntimeClass: Error, CustomStringConvertible {
    var name: String
    var description: String { "RuntimeClass \"\(name)\" not found" }
  }

  private func createSandbox(_ pod: Pod, _ config: CRIPodSandboxConfig) async throws -> SandboxRecord {
    do {
      let id = try await turns.take(.first) { try await runtime.runPodSandbox(config, runtimeHandler: "") }
      await view.expect(id, of: pod.uid)
      return try await view.refreshSandbox(id, of: pod.uid)
    } catch {
      if !Task.isCancelled { recordSandboxFailure(pod, error) }
      throw error
    }
  }

  private func recordSandboxFailure(_ pod: Pod, _ error: any Error) {
    events.record(
      pod, fieldPath: nil, .warning, reason: "FailedCreatePodSandBox", message: "Failed to create pod sandbox: \(error)")
  }

  // MARK: Containers

  /// Starts one container: its image, its definition, the container, its hook.
  /// - Throws: `ContainerStartError`, or `CancellationError`.
  func start(_ container: Container, _ kind: ContainerKind, of pod: Pod, _ setup: PodSetup, _ record: PodRecord) async throws {
    let fieldPath = pod.fieldPath(ofContainer: container.name)
    let image: PresentImage
    do {
      image = try await images.ensureImage(
        for: container, fieldPath: fieldPath, pod: pod, pullSecrets: setup.pullSecrets, sandboxConfig: setup.sandboxConfig)
    } catch let error as ImageError {
      // A pull that failed is looked at again soon, for the back-off to be told; the back-off knows when it ends.
      let retryAt = error.reason == .imagePullBackOff ? error.retryAt : nil
      throw ContainerStartError(reason: error.reason.rawValue, message: error.message, retryAt: retryAt)
    }
    let config = try await failing("CreateContainerConfigError", pod, fieldPath) {
      try await self.config(of: container, kind, pod, setup, record, image)
    }
    let id = try await failing("CreateContainerError", pod, fieldPath) {
      try await turns.take(.next) {
        try await runtime.createContainer(config, inSandbox: setup.sandboxID, sandboxConfig: setup.sandboxConfig)
      }
    }
    await view.expect(id, of: pod.uid)
    events.record(pod, fieldPath: fieldPath, .normal, reason: "Created", message: "Created container: \(container.name)")
    try await run(container, id, of: pod, setup, log: setup.sandboxConfig.logDirectory + "/" + config.logPath)
  }

  /// Starts a container that was made before.
  /// - Throws: `ContainerStartError`, or `CancellationError`.
  func start(_ created: ContainerRecord, _ container: Container, of pod: Pod, _ setup: PodSetup) async throws {
    try await run(container, created.id, of: pod, setup, log: created.logPath)
  }

  private func run(_ container: Container, _ id: String, of pod: Pod, _ setup: PodSetup, log: String) async throws {
    let fieldPath = pod.fieldPath(ofContainer: container.name)
    do {
      try await failing("RunContainerError", pod, fieldPath) { try await turns.take(.next) { try await runtime.startContainer(id) } }
    } catch {
      await view.refreshContainer(id)
      throw error
    }
    events.record(pod, fieldPath: fieldPath, .normal, reason: "Started", message: "Started container \(container.name)")
    linkLog(of: container, id, pod, to: log)
    await view.refreshContainer(id)
    try await runPostStartHook(of: container, id, pod, setup, fieldPath)
  }

  private func failing<T>(_ reason: String, _ pod: Pod, _ fieldPath: String, _ step: () async throws -> T) async throws -> T {
    do {
      return try await step()
    } catch {
      if Task.isCancelled { throw CancellationError() }
      let message = (error as? RuntimeError)?.message ?? "\(error)"
      events.record(pod, fieldPath: fieldPath, .warning, reason: "Failed", message: "Error: \(message)")
      throw ContainerStartError(reason: reason, message: message)
    }
  }

  /// Removes a container that was made and not started, so that another can take its place.
  /// - Throws: `ContainerStartError` if it can't be removed, or was started by now; `CancellationError`.
  func removeUnstarted(_ container: ContainerRecord, of pod: Pod) async throws {
    // It may have been started meanwhile.
    await view.refreshContainer(container.id)
    guard let now = await view.record(of: pod.uid)?.containers.first(where: { $0.id == container.id }) else { return }
    guard now.state == .created else {
      throw ContainerStartError(reason: "CreateContainerError", message: "container \(container.id) of an earlier start runs")
    }
    // The engine refuses this while it starts the container; its log is still needed then.
    try await failing("CreateContainerError", pod, pod.fieldPath(ofContainer: container.name)) {
      try await runtime.removeContainer(container.id)
    }
    await removeContainer(now, of: pod)
  }

  private func config(
    of container: Container, _ kind: ContainerKind, _ pod: Pod, _ setup: PodSetup, _ record: PodRecord, _ image: PresentImage
  ) async throws -> CRIContainerConfig {
    let downward = DownwardAPI(pod: pod, node: node, podIPs: setup.ips)
    let environment = try EnvironmentBuilder(downward: downward, objects: setup.objects).build(container)
    var mounts = try await volumes.mounts(
      for: container, of: pod, volumes: setup.volumes,
      environment: Dictionary(environment.variables.map { ($0.name, $0.value) }) { $1 })
    if !mounts.contains(where: { $0.containerPath == "/etc/hosts" }), let hosts = try blueprint.hosts(of: pod, podIPs: setup.ips) {
      let file = EtcHostsFile(podUID: pod.uid, paths: paths)
      try file.write(hosts)
      mounts.append(file.mount)
    }
    // Of earlier starts only what the engine still has containers of.
    let known = record.containers.lazy.filter { $0.name == container.name }.compactMap(\.terminationMessageFile)
    try TerminationMessageFile.removeOld(container: container.name, podUID: pod.uid, paths: paths, keeping: Set(known))
    mounts.append(try TerminationMessageFile.create(for: container, podUID: pod.uid, paths: paths).mount)

    var parts = ContainerConfigBuilder.Parts(
      restartCount: restartCount(of: container, pod, record), imageRef: image.ref, image: image.image, environment: environment,
      mounts: mounts)
    if case .ephemeral(let target?) = kind { parts.targetID = record.newest(target)?.id }
    let config = try blueprint.containers.build(pod, container, parts)
    let seccomp = config.linux.securityContext.seccomp
    if seccomp.profileType == .localhost {
      let report = try SeccompProfileCheck.check(path: seccomp.localhostRef)
      if !report.skippedSyscalls.isEmpty {
        logger.warning(
          "the seccomp profile names system calls that this machine doesn't have",
          metadata: ["profile": "\(seccomp.localhostRef)", "syscalls": "\(report.skippedSyscalls.joined(separator: " "))"])
      }
    }
    return config
  }

  private func linkLog(of container: Container, _ id: String, _ pod: Pod, to log: String) {
    do {
      try links.link(pod: pod.name, namespace: pod.namespace, container: container.name, containerID: id, to: log)
    } catch {
      logger.warning("linking a log failed", metadata: ["pod": "\(pod.fullName)", "container": "\(container.name)", "error": "\(error)"])
    }
  }

  /// One more than before. Without a trace in the engine, the logs tell how often it was started.
  private func restartCount(of container: Container, _ pod: Pod, _ record: PodRecord) -> Int {
    if let newest = record.newest(container.name) { return newest.restartCount + (newest.state == .created ? 0 : 1) }
    let logs = paths.podLogDirectory(namespace: pod.namespace, name: pod.name, uid: pod.uid) + "/" + container.name
    return LogDirectory.highestLogNumber(logs).map { $0 + 1 } ?? 0
  }

  private func runPostStartHook(of container: Container, _ id: String, _ pod: Pod, _ setup: PodSetup, _ fieldPath: String) async throws {
    guard let hook = container.lifecycle?.postStart else { return }
    do {
      try await hooks.run(hook, in: container, id: id, of: pod, podIPs: setup.ips)
    } catch {
      if Task.isCancelled { throw CancellationError() }
      events.record(pod, fieldPath: fieldPath, .warning, reason: "FailedPostStartHook", message: "PostStartHook failed: \(error)")
      if let record = await view.record(of: pod.uid), let started = record.containers.first(where: { $0.id == id }) {
        await stop(started, of: pod, gracePeriod: pod.gracePeriod, message: "FailedPostStartHook")
      }
      throw ContainerStartError(reason: "PostStartHookError", message: "\(error)")
    }
  }
}
