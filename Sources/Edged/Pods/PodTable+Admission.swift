import KubernetesAPI

extension PodTable {
  enum Admission: Sendable {
    case start
    case fail(AdmissionRejection)
    /// Nothing happens to the pod for now.
    case wait
  }

  /// Decides whether a pod may start, and does what follows if it may not yet.
  func admit(_ wish: WishedPod, isRunning: Bool) async -> Admission {
    let pod = wish.pod
    // What runs runs on, and what has ended or is to end needs no room.
    if isRunning || pod.isBeingDeleted || pod.status?.phase?.isTerminal == true {
      book.forget(pod.uid)
      return .start
    }
    let decision = book.decide(
      pod, mayWait: wish.source == .manifests, beside: active, leaving: leaving, wasAdmitted: pod.status?.startTime != nil, admission())
    switch decision {
    case .admitted: return .start
    case .refused(let rejection): return .fail(rejection)
    case .heldBack(let rejection): tellHeldBack(pod, rejection)
    case .waits(let victims):
      logger.info(
        "the pod waits for others to end",
        metadata: ["pod": "\(pod.fullName)", "evicting": "\(victims.map(\.fullName).joined(separator: " "))"])
      for victim in victims { await evict(victim) }
    }
    return .wait
  }

  /// The pods that have workers and aren't over.
  var active: [Pod] {
    workers.keys.compactMap { uid in
      operations.statuses.status(of: uid)?.phase?.isTerminal == true ? nil : (wished[uid] ?? ending[uid])?.pod
    }
  }

  /// UIDs of those that are on their way out anyway.
  var leaving: Set<String> {
    Set(ending.keys).union(wished.values.lazy.map(\.pod).filter(\.isBeingDeleted).map(\.uid))
  }

  /// A pod that the node doesn't take now counts as failed until it does.
  private func tellHeldBack(_ pod: Pod, _ rejection: AdmissionRejection) {
    var failed = PodStatus()
    failed.phase = .failed
    failed.reason = rejection.reason
    failed.message = rejection.statusMessage
    let before = operations.statuses.status(of: pod.uid)
    if before?.message == failed.message { return }
    failed.startTime = before?.startTime
    failed.conditions = before?.conditions
    operations.events.record(pod, fieldPath: nil, .warning, reason: rejection.reason, message: rejection.message)
    let builder = PodStatusBuilder(
      pod: pod, node: operations.node, qosClass: QOSClass.of(pod), scheme: operations.runtime.scheme,
      record: PodRecord(uid: pod.uid, name: pod.name, namespace: pod.namespace), previous: failed, waiting: [:], probes: [:],
      terminationMessages: [:], isEnding: true, isStopped: true, now: .now)
    operations.statuses.put(builder.build(), of: pod.uid)
    operations.reports?.statusChanged(of: pod.uid)
  }

  private func evict(_ pod: Pod) async {
    operations.events.record(pod, fieldPath: nil, .warning, reason: Preemption.reason, message: Preemption.message)
    await workers[pod.uid]?.end(
      reason: Preemption.reason, message: Preemption.message, disruption: Preemption.conditionMessage)
  }

  // MARK: Trying again

  /// The node changed in a way that may let pods in.
  nonisolated func reconsider() { retry.signal() }

  /// Asks again about pods that wait, when others end and now and then besides, until the table stops.
  func retryAdmission() async {
    while !isStopping, !Task.isCancelled {
      await retry.wait(until: book.isEmpty ? nil : .now + Self.admissionInterval)
      if !book.isEmpty { await startMissing() }
    }
  }
}
