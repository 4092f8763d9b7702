import KubernetesAPI

/// The conditions of a pod that the node owns, in the order in which they are reported.
enum PodConditions {
  static let podReadyToStartContainers = "PodReadyToStartContainers"
  static let initialized = "Initialized"
  static let ready = "Ready"
  static let containersReady = "ContainersReady"
  static let podScheduled = "PodScheduled"

  static let owned = [podReadyToStartContainers, initialized, ready, containersReady, podScheduled]

  /// Says that a pod ends because of somebody's decision. It is the node's where the node decided.
  static let disruptionTarget = "DisruptionTarget"
  static let terminationByKubelet = "TerminationByKubelet"

  /// Whether the node has to tell it.
  static func isOwn(_ condition: PodCondition) -> Bool {
    owned.contains(condition.type) || condition.type == disruptionTarget && condition.reason == terminationByKubelet
  }

  /// The node's conditions as it has them, and those of others as they say.
  static func merge(own: [PodCondition], others: [PodCondition]) -> [PodCondition] {
    let own = own.filter(isOwn)
    return own + others.filter { other in !owned.contains(other.type) && !own.contains { $0.type == other.type } }
  }

  /// Conditions that say that the node ends the pod.
  static func disrupted(_ conditions: [PodCondition], message: String, now: Timestamp) -> [PodCondition] {
    if conditions.contains(where: { $0.type == disruptionTarget && isOwn($0) }) { return conditions }
    var condition = PodCondition(type: disruptionTarget, status: true, reason: terminationByKubelet, message: message)
    condition.lastTransitionTime = now.truncatedToSeconds
    return conditions.filter { $0.type != disruptionTarget } + [condition]
  }

  /// The conditions for a status whose phase and container statuses are already there.
  /// Conditions that others set are kept; a transition time changes only with the status it belongs to.
  static func conditions(
    of pod: Pod, status: PodStatus, sandboxIsReady: Bool, previous: [PodCondition], now: Timestamp
  ) -> [PodCondition] {
    let phase = status.phase ?? .pending
    let containersReady = containersReadyCondition(pod, status, phase)
    var conditions = [
      PodCondition(type: podReadyToStartContainers, status: sandboxIsReady && !phase.isTerminal),
      initializedCondition(pod, status, phase),
      readyCondition(pod, containersReady, previous),
      containersReady,
      PodCondition(type: podScheduled, status: true),
    ]
    for index in conditions.indices {
      let before = previous.first { $0.type == conditions[index].type }
      let unchanged = before?.status == conditions[index].status
      conditions[index].lastTransitionTime = unchanged ? before?.lastTransitionTime : now.truncatedToSeconds
    }
    return conditions + previous.filter { !owned.contains($0.type) }
  }

  private static func initializedCondition(_ pod: Pod, _ status: PodStatus, _ phase: PodPhase) -> PodCondition {
    let containers = pod.initContainers
    let statuses = Dictionary((status.initContainerStatuses ?? []).map { ($0.name, $0) }) { first, _ in first }
    let everInitialised = (status.containerStatuses ?? []).contains { $0.containerID != nil }
    let incomplete = containers.filter { container in
      guard let status = statuses[container.name] else { return true }
      if container.isSidecar { return status.started != true && !everInitialised }
      return !(status.ready || everInitialised)
    }
    if phase == .succeeded, !containers.isEmpty {
      return PodCondition(type: initialized, status: true, reason: "PodCompleted")
    }
    if incomplete.isEmpty { return PodCondition(type: initialized, status: true) }
    return PodCondition(
      type: initialized, status: false, reason: "ContainersNotInitialized",
      message: "containers with incomplete status: [\(incomplete.map(\.name).joined(separator: " "))]")
  }

  private static func containersReadyCondition(_ pod: Pod, _ status: PodStatus, _ phase: PodPhase) -> PodCondition {
    switch phase {
    case .succeeded: return PodCondition(type: containersReady, status: false, reason: "PodCompleted")
    case .failed: return PodCondition(type: containersReady, status: false, reason: "PodFailed")
    default: break
    }
    let statuses = Dictionary(
      ((status.containerStatuses ?? []) + (status.initContainerStatuses ?? [])).map { ($0.name, $0) }
    ) { first, _ in first }
    let names = pod.initContainers.filter(\.isSidecar).map(\.name) + pod.spec.containers.map(\.name)
    let unknown = names.filter { statuses[$0] == nil }
    let unready = names.filter { statuses[$0]?.ready == false }
    if unknown.isEmpty, unready.isEmpty { return PodCondition(type: containersReady, status: true) }
    let lists = [("unknown", unknown), ("unready", unready)].filter { !$0.1.isEmpty }
    return PodCondition(
      type: containersReady, status: false, reason: "ContainersNotReady",
      message: lists.map { "containers with \($0.0) status: [\($0.1.joined(separator: " "))]" }.joined(separator: ", "))
  }

  private static func readyCondition(_ pod: Pod, _ containersReady: PodCondition, _ previous: [PodCondition]) -> PodCondition {
    var condition = containersReady
    condition.type = ready
    guard containersReady.status == "True" else { return condition }
    let problems = (pod.spec.readinessGates ?? []).compactMap { gate -> String? in
      let type = gate.conditionType
      guard let found = previous.first(where: { $0.type == type }) else {
        return "corresponding condition of pod readiness gate \"\(type)\" does not exist."
      }
      return found.status == "True" ? nil : "the status of pod readiness gate \"\(type)\" is not \"True\", but \(found.status)"
    }
    if problems.isEmpty { return condition }
    return PodCondition(
      type: ready, status: false, reason: "ReadinessGatesNotReady", message: problems.joined(separator: ", "))
  }
}
