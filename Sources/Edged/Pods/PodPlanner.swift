import KubernetesAPI
import Runtime

/// The rules of a pod's life: what to do next, from what is wished and what the engine says. No clock, no engine.
enum PodPlanner {
  static func plan(_ facts: PodFacts) -> PodPlan {
    var plan = PodPlan()
    if let attempt = neededSandboxAttempt(facts) {
      planNewSandbox(&plan, facts, attempt: attempt)
    } else {
      planContainers(&plan, facts)
    }
    holdBack(&plan, facts)
    return plan
  }

  // MARK: Sandbox

  /// The attempt number of the sandbox to create; nil if the newest one is good.
  static func neededSandboxAttempt(_ facts: PodFacts) -> UInt32? {
    let sandboxes = facts.record.sandboxes
    guard let newest = sandboxes.first else { return 0 }
    let wantsHost = facts.pod.spec.hostNetwork ?? false
    let isGood =
      facts.record.readySandboxes.count == 1 && newest.isReady && newest.usesHostNetwork == wantsHost
      && (wantsHost || !newest.ips.isEmpty)
    return isGood ? nil : (sandboxes.map(\.attempt).max() ?? 0) + 1
  }

  private static func planNewSandbox(_ plan: inout PodPlan, _ facts: PodFacts, attempt: UInt32) {
    let pod = facts.pod
    plan.stopsPod = facts.record.isAlive
    // A pod that may not restart and ran already has had its one life.
    if pod.restartPolicy == .never, attempt != 0, !facts.record.containers.isEmpty { return }
    let wanted = pod.spec.containers.indices.filter { index in
      let record = facts.record.newest(pod.spec.containers[index].name)
      let succeeded = record?.state == .exited && record?.exitCode == 0
      return !(succeeded && pod.restartPolicy == .onFailure)
    }
    if wanted.isEmpty { return }
    plan.newSandboxAttempt = attempt
    if pod.initContainers.isEmpty { plan.start = wanted } else { plan.startInit = [0] }
  }

  // MARK: Containers

  private static func planContainers(_ plan: inout PodPlan, _ facts: PodFacts) {
    let pod = facts.pod
    for (index, ephemeral) in (pod.spec.ephemeralContainers ?? []).enumerated()
    where facts.record.newest(ephemeral.container.name) == nil {
      plan.startEphemeral.append(index)
    }
    let initialised = InitContainerRules.plan(&plan, facts)
    if plan.stopsPod || !initialised { return }

    var kept = 0
    for (index, container) in pod.spec.containers.enumerated() {
      guard let record = facts.record.newest(container.name) else {
        plan.start.append(index)
        continue
      }
      switch record.state {
      case .running:
        if let kill = reasonToKill(record, container, facts, word: "Container") {
          plan.kills.append(kill)
          // A definition change restarts whatever the policy; a failed probe obeys it.
          if kill.cause == .definitionChanged || pod.restartPolicy != .never { plan.start.append(index) }
        } else {
          kept += 1
        }
      case .created:
        plan.created[record.name] = record.id
        plan.start.append(index)
      case .exited:
        if shouldRestart(container, record, pod) { plan.start.append(index) }
      case .unknown:
        if shouldRestart(container, record, pod) {
          plan.kills.append(
            .init(
              containerID: record.id, name: record.name, cause: .unknownState,
              message: "Container \(record.name) is in an unknown state, will be restarted"))
          plan.start.append(index)
        }
      }
    }
    if kept == 0, plan.start.isEmpty {
      // All regular containers are done for good: sidecars and the sandbox end too.
      plan.stopsPod = facts.record.isAlive
      plan.startInit = []
    }
  }

  /// Why a running container has to go; nil if it may run on.
  static func reasonToKill(_ record: ContainerRecord, _ container: Container, _ facts: PodFacts, word: String) -> PodPlan.Kill? {
    let cause: PodPlan.Kill.Cause
    let what: String
    let verdict = facts.probes[record.name] ?? ProbeVerdict()
    if !record.hash.isEmpty, record.hash != ContainerHash.hash(of: container) {
      (cause, what) = (.definitionChanged, "definition changed")
    } else if verdict.livenessFailed {
      (cause, what) = (.livenessProbe, "failed liveness probe")
    } else if verdict.startup == .failed {
      (cause, what) = (.startupProbe, "failed startup probe")
    } else {
      return nil
    }
    return .init(
      containerID: record.id, name: record.name, cause: cause, message: "\(word) \(record.name) \(what), will be restarted")
  }

  /// Whether an ended regular container starts again.
  static func shouldRestart(_ container: Container, _ record: ContainerRecord, _ pod: Pod) -> Bool {
    switch pod.restartPolicy {
    case .always: true
    case .onFailure: record.exitCode != 0 || record.state == .unknown
    case .never: false
    }
  }

  // MARK: Back-off

  /// Takes containers out of the plan whose crash-loop back-off has not passed.
  private static func holdBack(_ plan: inout PodPlan, _ facts: PodFacts) {
    func isDue(_ container: Container) -> Bool {
      guard facts.record.newestEnded(container.name) != nil, let wait = facts.backoff.wait(for: container, now: facts.now) else {
        return true
      }
      plan.heldBack[container.name] = ContainerStateWaiting(
        reason: "CrashLoopBackOff",
        message: CrashLoopBackoff.message(delay: wait.delay, container: container.name, pod: facts.pod))
      plan.wakeAt = min(plan.wakeAt ?? wait.until, wait.until)
      return false
    }
    plan.startInit.removeAll { !isDue(facts.pod.initContainers[$0]) }
    plan.start.removeAll { !isDue(facts.pod.spec.containers[$0]) }
  }
}

extension Pod {
  var restartPolicy: RestartPolicy { spec.restartPolicy ?? .always }
  var initContainers: [Container] { spec.initContainers ?? [] }
  /// Regular containers, then sidecars: those that live as long as the pod.
  var longRunningContainers: [Container] { spec.containers + initContainers.filter(\.isSidecar) }
}
