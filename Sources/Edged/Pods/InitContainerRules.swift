import KubernetesAPI

/// Which init containers and sidecars to start: one at a time, in order, each once the one before it is done.
///
/// The decision looks from the last init container to the first and rests on the newest one that is known, since the engine
/// may have lost the finished ones before it.
enum InitContainerRules {
  /// Adds to the plan; returns whether the pod is initialised, so that its regular containers may start.
  static func plan(_ plan: inout PodPlan, _ facts: PodFacts) -> Bool {
    let containers = facts.pod.initContainers
    if containers.isEmpty { return true }
    // Once any regular container was created, no init container runs again; sidecars are still kept alive.
    var initialised = facts.pod.spec.containers.contains { facts.record.newest($0.name) != nil }
    var laterIsKnown = initialised
    var starts: [Int] = []

    for index in containers.indices.reversed() {
      let container = containers[index]
      guard let record = facts.record.newest(container.name) else {
        if laterIsKnown, container.isSidecar { starts.append(index) }
        continue
      }
      if laterIsKnown, !container.isSidecar { continue }
      let step =
        container.isSidecar ? sidecarStep(record, container, facts) : initStep(record, facts.pod.restartPolicy)
      if step.failsPod {
        plan.stopsPod = facts.record.isAlive
        plan.kills = []
        return false
      }
      if step.isCreated { plan.created[record.name] = record.id }
      if let kill = step.kill { plan.kills.append(kill) }
      if step.isDone {
        if index == containers.count - 1 {
          initialised = true
        } else if !laterIsKnown {
          starts.append(index + 1)
        }
      }
      if step.restarts { starts.append(index) }
      laterIsKnown = true
    }
    if !laterIsKnown { starts.append(0) }
    plan.startInit = starts.sorted()
    return initialised
  }

  private struct Step {
    /// The next container may start.
    var isDone = false
    var restarts = false
    var failsPod = false
    /// It was made and has not been started.
    var isCreated = false
    var kill: PodPlan.Kill?
  }

  private static func initStep(_ record: ContainerRecord, _ policy: RestartPolicy) -> Step {
    switch record.state {
    case .running: Step()
    case .created: Step(restarts: true, isCreated: true)
    case .exited where record.exitCode == 0 && record.reason != "OOMKilled": Step(isDone: true)
    case .exited, .unknown: policy == .never ? Step(failsPod: true) : Step(restarts: true)
    }
  }

  private static func sidecarStep(_ record: ContainerRecord, _ container: Container, _ facts: PodFacts) -> Step {
    switch record.state {
    case .exited, .unknown: return Step(restarts: true)
    case .created: return Step(restarts: true, isCreated: true)
    case .running:
      if let kill = PodPlanner.reasonToKill(record, container, facts, word: "Init container") {
        // A failed liveness probe doesn't hold up the next container, a failed startup probe does.
        return Step(isDone: kill.cause == .livenessProbe, restarts: true, kill: kill)
      }
      return Step(isDone: (facts.probes[record.name] ?? ProbeVerdict()).startup == .passed)
    }
  }
}
