import KubernetesAPI

/// The phase of a pod, from the statuses of its containers.
enum PodPhaseRules {
  /// - Parameter isEnding: the pod is being taken down, so that nothing starts again.
  static func phase(of pod: Pod, status: PodStatus, isEnding: Bool) -> PodPhase {
    let spec = pod.spec
    let initialisation = initPhase(pod, status)
    if initialisation == .failed { return .failed }

    var (running, waiting, unknown, stopped, failed) = (0, 0, 0, 0, 0)
    let statuses = Dictionary((status.containerStatuses ?? []).map { ($0.name, $0) }) { first, _ in first }
    for container in spec.containers {
      guard let status = statuses[container.name] else {
        unknown += 1
        continue
      }
      if status.state?.running != nil {
        running += 1
      } else if let ended = status.state?.terminated ?? (status.state?.waiting != nil ? status.lastState?.terminated : nil) {
        // A container that waits after it ended (back-off) counts as stopped.
        stopped += 1
        if ended.exitCode != 0 { failed += 1 }
      } else if status.state?.waiting != nil {
        waiting += 1
      } else {
        unknown += 1
      }
    }

    if initialisation == .pending { return .pending }
    if waiting > 0 { return .pending }
    if running > 0, unknown == 0 { return .running }
    if running == 0, stopped > 0, unknown == 0 {
      if isEnding { return failed == 0 ? .succeeded : .failed }
      switch pod.restartPolicy {
      case .always: return .running
      case .onFailure: return failed == 0 ? .succeeded : .running
      case .never: return failed == 0 ? .succeeded : .failed
      }
    }
    return .pending
  }

  private enum Initialisation { case done, pending, failed }

  private static func initPhase(_ pod: Pod, _ status: PodStatus) -> Initialisation {
    let containers = pod.initContainers
    if containers.isEmpty { return .done }
    // Regular containers that exist mean that initialisation was done, whatever became of the init containers since.
    let everInitialised = (status.containerStatuses ?? []).contains { $0.containerID != nil }
    let statuses = Dictionary((status.initContainerStatuses ?? []).map { ($0.name, $0) }) { first, _ in first }
    for container in containers {
      let status = statuses[container.name]
      if container.isSidecar {
        if !everInitialised, status?.started != true { return .pending }
        continue
      }
      if everInitialised { continue }
      if let ended = status?.state?.terminated {
        if ended.exitCode != 0 { return pod.restartPolicy == .never ? .failed : .pending }
        continue
      }
      return .pending
    }
    return .done
  }
}
