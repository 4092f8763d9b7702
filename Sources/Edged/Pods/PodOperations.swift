import KubernetesAPI
import Logging
import Runtime

/// What a pod's worker does to the world: the thin side of the rules in `PodPlanner`.
struct PodOperations: Sendable {
  let runtime: any ContainerRuntime
  let turns: EngineTurns
  let view: RuntimeView
  let node: NodeFacts
  let paths: NodePaths
  let settings: PodSettings
  let events: any EventRecording
  let statuses: StatusStore
  /// Nil on a node without a cloud.
  let reports: PodReports?
  let probes: Probers
  let hooks: LifecycleHooks
  let images: ImagePuller
  let volumes: PodVolumes
  let objects: PodObjectSource
  let cgroups: PodCgroups
  let blueprint: PodBlueprint
  let links: ContainerLogLinks
  let agentStarted: Timestamp
  let logger: Logger

  // MARK: Probes

  /// Tells the probes what there is to probe.
  func updateProbes(_ pod: Pod, _ record: PodRecord) async {
    guard pod.hasProbes else { return }
    let ips = addresses(of: pod, record)
    let before = statuses.status(of: pod.uid)
    var targets: [String: ProbeTarget] = [:]
    for container in pod.longRunningContainers {
      guard let newest = record.newest(container.name) else { continue }
      let reported = before?.containerStatus(container.name)
      targets[container.name] = ProbeTarget(
        containerID: newest.id, running: newest.state == .running, startedAt: newest.startedAt, podIPs: ips,
        mayRestart: pod.restartPolicy != .never || container.isSidecar, startedBeforeAgent: newest.startedAt < agentStarted,
        recordedReady: reported?.ready, recordedStarted: reported?.started)
    }
    await probes.update(pod, targets: targets)
  }

  /// What probes say about the lives of running containers, by container name.
  func verdicts(_ pod: Pod, _ record: PodRecord) -> [String: ProbeVerdict] {
    guard pod.hasProbes else { return [:] }
    let results = probes.results(podUID: pod.uid)
    var verdicts: [String: ProbeVerdict] = [:]
    for container in pod.longRunningContainers {
      guard let newest = record.newest(container.name), let result = results[newest.id] else { continue }
      let startup: ProbeVerdict.Startup =
        switch result.startup {
        case .failure: .failed
        case .unknown: .pending
        case .success, nil: .passed
        }
      verdicts[container.name] = ProbeVerdict(livenessFailed: result.liveness == .failure, startup: startup)
    }
    return verdicts
  }

  /// What probes say about readiness, by container name.
  func probeStates(_ pod: Pod, _ record: PodRecord) -> [String: PodStatusBuilder.ContainerProbeState] {
    guard pod.hasProbes else { return [:] }
    let results = probes.results(podUID: pod.uid)
    let before = statuses.status(of: pod.uid)
    var states: [String: PodStatusBuilder.ContainerProbeState] = [:]
    for container in pod.longRunningContainers {
      guard let newest = record.newest(container.name) else { continue }
      let result = results[newest.id]
      let reported = before?.containerStatus(container.name)
      let ready =
        switch result?.readiness {
        case .success: true
        case .failure: false
        // Not decided: what was reported before still stands.
        case .unknown: reported?.ready ?? false
        case nil: container.readinessProbe == nil
        }
      let started = container.startupProbe == nil || result?.startup == .success
      states[container.name] = .init(ready: ready, started: started)
    }
    return states
  }

  func addresses(of pod: Pod, _ record: PodRecord) -> [String] {
    pod.spec.hostNetwork == true ? node.hostIPs : record.ips
  }

  // MARK: Messages of ended containers

  /// What a container left behind when it ended, cut to its share of what a pod may say.
  func terminationMessage(of container: ContainerRecord, _ pod: Pod) -> String {
    let message = TerminationMessageFile.message(
      at: container.terminationMessageFile, policy: container.fallsBackToLogs ? .fallbackToLogsOnError : .file,
      exitCode: container.exitCode
    ) { lines, bytes in
      Array(try LogReader.lastLines(of: container.logPath, lines: lines, limit: bytes).utf8)
    }
    return TerminationMessageFile.limited(message, containerCount: pod.containerCount)
  }

  // MARK: Clean-up

  /// Gives back what a pod that has ended holds on the node; its logs and its dead containers stay.
  func releaseResources(of uid: String, _ pod: Pod) async throws {
    objects.forget(podUID: uid)
    try await volumes.tearDown(uid)
    try await cgroups.remove(podUID: uid, qos: QOSClass.of(pod).cgroup)
    // A pod that isn't known any more: its quality of service is only in the name of its group.
    for group in cgroups.list() where group.uid == uid { try await cgroups.remove(podUID: uid, qos: group.qos) }
  }

  /// Removes the last traces of a pod.
  func removeRemains(of pod: Pod) async throws {
    let record = try await view.refresh(pod.uid)
    for container in record?.containers ?? [] { await removeContainer(container, of: pod) }
    for sandbox in record?.sandboxes ?? [] {
      try await runtime.stopPodSandbox(sandbox.id)
      try await runtime.removePodSandbox(sandbox.id)
    }
    try await view.refresh(pod.uid)
    try await volumes.removeDirectory(pod.uid)
    try FileSystem.removeTree(paths.podLogDirectory(namespace: pod.namespace, name: pod.name, uid: pod.uid))
    try links.removeDead(running: Set(await view.all.flatMap(\.runningContainers).map(\.id)))
  }

  /// Removes a container that doesn't run, and its log.
  func removeContainer(_ container: ContainerRecord, of pod: Pod) async {
    do {
      if !container.logPath.isEmpty { try LogDirectory.removeLog(container.logPath) }
      try links.remove(pod: pod.name, namespace: pod.namespace, container: container.name, containerID: container.id)
      try await runtime.removeContainer(container.id)
      await view.refreshContainer(container.id)
    } catch {
      logger.debug("removing a container failed", metadata: ["container": "\(container.id)", "error": "\(error)"])
    }
  }

  /// Removes containers that no status speaks of any more: all but the newest dead one of each name, and those that were made but never
  /// started before they were replaced.
  func removeOldContainers(_ pod: Pod, _ record: PodRecord) async {
    let keep = settings.deadContainersKept
    guard keep >= 0 else { return }
    var seen: [String: Int] = [:]
    for container in record.containers where container.state == .exited || container.state == .created {
      let isNewest = record.newest(container.name)?.id == container.id
      if isNewest { continue }
      if container.state == .created {
        await removeContainer(container, of: pod)
        continue
      }
      seen[container.name, default: 0] += 1
      if seen[container.name, default: 0] > keep { await removeContainer(container, of: pod) }
    }
  }
}

/// What the configuration says about running pods.
struct PodSettings: Sendable {
  var maxContainerRestartPeriod: Duration
  /// How many dead containers of one name are kept beside the newest; negative for all.
  var deadContainersKept: Int
}

extension PodStatus {
  /// The status of a container of that name, of whichever kind.
  func containerStatus(_ name: String) -> ContainerStatus? {
    for statuses in [containerStatuses, initContainerStatuses, ephemeralContainerStatuses] {
      if let status = statuses?.first(where: { $0.name == name }) { return status }
    }
    return nil
  }
}

extension Pod {
  var hasProbes: Bool {
    longRunningContainers.contains { $0.livenessProbe != nil || $0.readinessProbe != nil || $0.startupProbe != nil }
  }

  /// Containers of all kinds.
  var containerCount: Int { spec.containers.count + initContainers.count + (spec.ephemeralContainers?.count ?? 0) }

  /// The container of that name, of whichever kind.
  func container(_ name: String) -> Container? {
    spec.containers.first { $0.name == name } ?? initContainers.first { $0.name == name }
      ?? spec.ephemeralContainers?.first { $0.container.name == name }?.container
  }
}
