import KubernetesAPI
import Runtime

/// Computes a pod's status from what the engine says, what probes say and what went wrong on the way.
struct PodStatusBuilder {
  var pod: Pod
  var node: NodeFacts
  var qosClass: PodQOSClass
  /// `containerd` or `docker`.
  var scheme: String
  var record: PodRecord
  /// The status reported before; the empty one at first.
  var previous: PodStatus
  /// By container name: what its start failed with, or what it waits for.
  var waiting: [String: ContainerStateWaiting]
  /// By container name, of the newest instance; nil entries have no probe or no result.
  var probes: [String: ContainerProbeState]
  /// Texts that ended containers left behind, by container id.
  var terminationMessages: [String: String]
  /// Nothing starts again: the pod is being taken down or has ended.
  var isEnding: Bool
  /// No container can be running any more.
  var isStopped: Bool
  var now: Timestamp

  /// What the readiness and startup probes of a running container say.
  struct ContainerProbeState: Sendable, Hashable {
    var ready: Bool
    var started: Bool
  }

  func build() -> PodStatus {
    var status = PodStatus()
    status.startTime = previous.startTime ?? now.truncatedToSeconds
    status.hostIP = node.hostIPs.first
    status.hostIPs = node.hostIPs.map(HostIP.init)
    status.qosClass = qosClass
    status.observedGeneration = pod.metadata.generation
    let ips = pod.spec.hostNetwork == true ? node.hostIPs : record.ips
    let shownIPs = ips.isEmpty && !isStopped ? (previous.podIPs ?? []).map(\.ip) : ips
    status.podIP = shownIPs.first
    status.podIPs = shownIPs.isEmpty ? nil : shownIPs.map(PodIP.init)
    let initDone = pod.initContainers.allSatisfy { container in
      let newest = record.newest(container.name)
      return container.isSidecar ? newest?.state == .running : newest?.state == .exited && newest?.exitCode == 0
    }
    status.containerStatuses = pod.spec.containers.map {
      containerStatus($0, previous.containerStatuses, defaultReason: initDone ? "ContainerCreating" : "PodInitializing")
    }
    if !pod.initContainers.isEmpty {
      status.initContainerStatuses = pod.initContainers.map {
        initStatus($0, containerStatus($0, previous.initContainerStatuses, defaultReason: "PodInitializing"))
      }
    }
    if let ephemeral = pod.spec.ephemeralContainers, !ephemeral.isEmpty {
      status.ephemeralContainerStatuses = ephemeral.map {
        containerStatus($0.container, previous.ephemeralContainerStatuses, defaultReason: "ContainerCreating")
      }
    }
    status.phase = phase(for: status)
    if previous.phase?.isTerminal == true || status.phase?.isTerminal == true {
      status.reason = previous.reason
      status.message = previous.message
    }
    status.conditions = PodConditions.conditions(
      of: pod, status: status, sandboxIsReady: !record.readySandboxes.isEmpty, previous: previous.conditions ?? [], now: now)
    return status
  }

  /// A terminal phase is never left, and not reported while containers may still run.
  private func phase(for status: PodStatus) -> PodPhase {
    if let before = previous.phase, before.isTerminal { return before }
    let phase = PodPhaseRules.phase(of: pod, status: status, isEnding: isEnding && isStopped)
    if phase.isTerminal, !record.runningContainers.isEmpty { return previous.phase ?? .running }
    return phase
  }

  // MARK: Containers

  private func containerStatus(_ container: Container, _ before: [ContainerStatus]?, defaultReason: String) -> ContainerStatus {
    let old = before?.first { $0.name == container.name }
    var status = ContainerStatus(name: container.name, image: container.image ?? "")
    guard let newest = record.newest(container.name) else {
      status = lost(status, old, defaultReason: defaultReason)
      if let wait = waiting[container.name], status.state?.terminated == nil { status.state = ContainerState(waiting: wait) }
      return status
    }
    status.restartCount = Int32(clamping: newest.restartCount)
    status.image = newest.image.isEmpty ? status.image : newest.image
    status.imageID = newest.imageID
    status.containerID = "\(scheme)://\(newest.id)"
    status.state = state(of: newest)
    status.lastState = record.previous(container.name).map(state(of:)) ?? old?.lastState
    if newest.state == .running {
      let probes = probes[container.name]
      status.started = probes?.started ?? (container.startupProbe == nil)
      status.ready = status.started == true && (probes?.ready ?? (container.readinessProbe == nil))
      status.user = newest.user.map { ContainerUser(linux: $0) }
    } else {
      status.started = false
    }
    if let wait = waiting[container.name], newest.state != .running {
      if newest.state == .exited { status.lastState = status.state }
      status.state = ContainerState(waiting: wait)
    }
    status.resources = container.resources
    status.allocatedResources = container.resources?.requests
    status.volumeMounts = container.volumeMounts?.map {
      VolumeMountStatus(name: $0.name, mountPath: $0.mountPath, readOnly: $0.readOnly, recursiveReadOnly: $0.recursiveReadOnly)
    }
    return status
  }

  /// A container the engine doesn't know: not there yet, or lost after it was reported.
  private func lost(_ empty: ContainerStatus, _ old: ContainerStatus?, defaultReason: String) -> ContainerStatus {
    var status = empty
    guard let old, old.containerID != nil else {
      status.state = ContainerState(waiting: ContainerStateWaiting(reason: defaultReason))
      return status
    }
    status = old
    status.ready = false
    status.started = false
    if old.state?.terminated != nil { return status }
    let ended = ContainerStateTerminated(
      exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated",
      containerID: old.containerID)
    if isEnding {
      status.state = ContainerState(terminated: ended)
    } else {
      if old.state?.running != nil { status.lastState = ContainerState(terminated: ended) }
      status.state = ContainerState(waiting: ContainerStateWaiting(reason: defaultReason))
    }
    return status
  }

  private func initStatus(_ container: Container, _ status: ContainerStatus) -> ContainerStatus {
    var status = status
    if !container.isSidecar { status.ready = status.state?.terminated?.exitCode == 0 }
    return status
  }

  private func state(of record: ContainerRecord) -> ContainerState {
    switch record.state {
    case .created: return ContainerState(waiting: ContainerStateWaiting(reason: "ContainerCreating"))
    case .running: return ContainerState(running: ContainerStateRunning(startedAt: record.startedAt.truncatedToSeconds))
    case .unknown:
      return ContainerState(
        terminated: ContainerStateTerminated(
          exitCode: 137, reason: "ContainerStatusUnknown", message: "The container engine lost track of the container",
          containerID: "\(scheme)://\(record.id)"))
    case .exited:
      let message = TerminationMessageFile.joined(engine: record.message, container: terminationMessages[record.id] ?? "")
      let reason = record.reason.isEmpty ? (record.exitCode == 0 ? "Completed" : "Error") : record.reason
      return ContainerState(
        terminated: ContainerStateTerminated(
          exitCode: record.exitCode, reason: reason, message: message.isEmpty ? nil : message,
          startedAt: record.startedAt.truncatedToSeconds, finishedAt: record.finishedAt.truncatedToSeconds,
          containerID: "\(scheme)://\(record.id)"))
    }
  }
}
