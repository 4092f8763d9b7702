import KubernetesAPI
import Logging
import Runtime

/// Brings one pod to what is wished, keeps it there, and takes it down again: syncing → ending → ended → gone, never back.
///
/// It looks again whenever it is woken: by a change of the wish, of what the engine says, of a probe's result, or by the end of
/// a back-off. One step runs at a time. Between looks it costs nothing.
actor PodWorker {
  nonisolated let uid: String
  /// `namespace/name`
  nonisolated let fullName: String
  private(set) var pod: Pod
  private(set) var phase: Phase = .syncing
  /// False once the pod is to be removed, remains and all.
  private var isWished = true
  private var ending: Ending?
  private let refusal: AdmissionRejection?
  private var stopsAfterStep = false
  private var step: Task<Void, Never>?

  var backoff: CrashLoopBackoff
  /// By container name: why its last start failed, until it succeeds.
  var failures: [String: StartFailure] = [:]
  var sandboxFailure: StartFailure?
  var status: PodStatus
  var terminationMessages: [String: String] = [:]
  private var heldBack: [String: ContainerStateWaiting] = [:]
  private var nextLook: ContinuousClock.Instant?
  private var volumeRefresh = VolumeRefresh()
  /// Stands for what the pod refers to as it was when starts failed.
  private var objectsRevision = 0

  let operations: PodOperations
  private let ended: @Sendable () -> Void
  private nonisolated let wakeup = Wakeup()
  let logger: Logger

  enum Phase: String, Sendable {
    case syncing, ending, ended, gone
  }

  /// How the pod is being taken down.
  struct Ending: Sendable {
    /// Seconds; the smallest that anybody asked for.
    var gracePeriod: Int64
    var reason: String?
    var message: String?
    /// Of the condition that says that the node decided so.
    var disruption: String?
  }

  /// - Parameters:
  ///   - refusal: Why the node can't take the pod; a refused pod has failed.
  ///   - ended: Called when the pod has given back what it held of the node.
  init(
    pod: Pod, status: PodStatus?, refusal: AdmissionRejection?, operations: PodOperations, logger: Logger,
    ended: @escaping @Sendable () -> Void
  ) {
    self.uid = pod.uid
    self.fullName = pod.fullName
    self.pod = pod
    self.status = status ?? pod.status ?? PodStatus()
    self.refusal = refusal
    self.operations = operations
    self.ended = ended
    self.backoff = CrashLoopBackoff(cap: operations.settings.maxContainerRestartPeriod)
    var logger = logger
    logger[metadataKey: "pod"] = "\(pod.fullName)"
    self.logger = logger
  }

  // MARK: What others tell it

  /// Something about the pod is new.
  nonisolated func wake() { wakeup.signal() }

  /// The wish changed.
  func update(_ pod: Pod) {
    self.pod = pod
    failures = [:]
    takeConditions(of: pod)
    if pod.isBeingDeleted {
      end()
      if phase == .ended { operations.reports?.ended(pod) }
    }
    wakeup.signal()
  }

  /// Others have conditions of a pod, too; what they say counts.
  func takeConditions(of pod: Pod) {
    guard let reported = pod.status?.conditions else { return }
    let merged = PodConditions.merge(own: status.conditions ?? [], others: reported)
    guard merged != status.conditions ?? [] else { return }
    status.conditions = merged
    wakeup.signal()
  }

  /// Takes the pod down within `gracePeriod` seconds (default: the pod's own) and removes what is left of it.
  func remove(gracePeriod: Int64? = nil) {
    isWished = false
    end(gracePeriod: gracePeriod)
    wakeup.signal()
  }

  /// Ends the pod; its status stays. A grace period can only shrink, which hurries an ending that is under way.
  /// - Parameter disruption: Message of the condition `DisruptionTarget`, if the node sacrifices the pod.
  func end(gracePeriod: Int64? = nil, reason: String? = nil, message: String? = nil, disruption: String? = nil) {
    guard phase == .syncing || phase == .ending else { return }
    let asked = max(1, gracePeriod ?? pod.metadata.deletionGracePeriodSeconds ?? pod.gracePeriod)
    let before = ending?.gracePeriod
    ending = Ending(
      gracePeriod: min(before ?? asked, asked), reason: ending?.reason ?? reason, message: ending?.message ?? message,
      disruption: ending?.disruption ?? disruption)
    if phase == .syncing || asked < before ?? .max { step?.cancel() }
    phase = .ending
    wakeup.signal()
  }

  /// Ends `run()` after what is under way; the pod runs on.
  func stop() {
    stopsAfterStep = true
    wakeup.signal()
  }

  // MARK: Its life

  func run() async {
    while phase != .gone, !stopsAfterStep, !Task.isCancelled {
      nextLook = nil
      let step = Task { await self.takeStep() }
      self.step = step
      await withTaskCancellationHandler {
        await step.value
      } onCancel: {
        step.cancel()
      }
      self.step = nil
      if phase == .gone || stopsAfterStep { break }
      await wakeup.wait(until: nextLook)
    }
  }

  private func takeStep() async {
    switch phase {
    case .syncing: await sync()
    case .ending: await takeDown()
    case .ended: if !isWished { await removeRemains() }
    case .gone: break
    }
  }

  /// Plans and carries out until nothing is left to do now.
  private func sync() async {
    retryWhatLackedObjects()
    // Each round does something new; the bound only guards against a plan that never settles.
    for _ in 0..<64 {
      guard phase == .syncing, !Task.isCancelled, !stopsAfterStep else { return }
      if pod.isBeingDeleted { return end() }
      let record = await operations.view.record(of: uid) ?? emptyRecord
      await operations.updateProbes(pod, record)
      let now = Moment.now
      if let refusal {
        operations.events.record(pod, fieldPath: nil, .warning, reason: refusal.reason, message: refusal.message)
        end(reason: refusal.reason, message: refusal.statusMessage)
        return
      }
      if let deadline = activeDeadline, deadline <= now.wall {
        operations.events.record(
          pod, fieldPath: nil, .normal, reason: "DeadlineExceeded",
          message: "Pod was active on the node longer than the specified deadline")
        end(
          gracePeriod: nil, reason: "DeadlineExceeded",
          message: "Pod was active on the node longer than the specified deadline")
        return
      }
      backoff.noteEnds(in: record, now: now)
      let plan = PodPlanner.plan(
        PodFacts(pod: pod, record: record, probes: operations.verdicts(pod, record), backoff: backoff, now: now.instant))
      noteHeldBack(plan.heldBack)
      publishStatus(record, now: now.wall)
      if status.phase?.isTerminal == true {
        end()
        return
      }
      let due = duePart(of: plan, now: now)
      if due.isEmpty {
        await operations.removeOldContainers(pod, record)
        volumeRefresh = await operations.refreshVolumes(pod, record, after: volumeRefresh)
        look(at: volumeRefresh.nextLook)
        return
      }
      await carryOut(due, record)
    }
    logger.warning("the pod doesn't settle; looking again in 10 s")
    look(at: .now + .seconds(10))
  }

  /// What the pod refers to changed: starts that failed for want of it need not wait any longer.
  private func retryWhatLackedObjects() {
    let revision = operations.objects.revision(of: uid)
    guard revision != objectsRevision else { return }
    objectsRevision = revision
    sandboxFailure = nil
    failures = failures.filter { $0.value.waiting.reason != "CreateContainerConfigError" }
  }

  /// The plan without what failed a moment ago and isn't to be tried again yet.
  private func duePart(of plan: PodPlan, now: Moment) -> PodPlan {
    var due = plan
    look(at: plan.wakeAt)
    look(at: activeDeadline.map(now.instant(of:)))
    if plan.newSandboxAttempt != nil, let failure = sandboxFailure, failure.retryAt > now.instant {
      look(at: failure.retryAt)
      return PodPlan()
    }
    func isDue(_ container: Container) -> Bool {
      guard let failure = failures[container.name], failure.retryAt > now.instant else { return true }
      look(at: failure.retryAt)
      return false
    }
    due.startInit.removeAll { !isDue(pod.initContainers[$0]) }
    due.start.removeAll { !isDue(pod.spec.containers[$0]) }
    due.startEphemeral.removeAll { index in !(pod.spec.ephemeralContainers.map { isDue($0[index].container) } ?? true) }
    if plan.newSandboxAttempt != nil, !due.startsContainers { return PodPlan() }
    return due
  }

  private func noteHeldBack(_ containers: [String: ContainerStateWaiting]) {
    for (name, _) in containers where heldBack[name] == nil {
      operations.events.record(
        pod, fieldPath: pod.fieldPath(ofContainer: name), .warning, reason: "BackOff",
        message: "Back-off restarting failed container \(name) in pod \(pod.name)_\(pod.namespace)(\(uid))")
    }
    heldBack = containers
  }

  private func look(at time: ContinuousClock.Instant?) {
    guard let time else { return }
    nextLook = min(nextLook ?? time, time)
  }

  // MARK: Carrying out

  private func carryOut(_ plan: PodPlan, _ record: PodRecord) async {
    if plan.stopsPod {
      await operations.stopPod(pod, record, gracePeriod: pod.gracePeriod)
    }
    await withTaskGroup(of: Void.self) { group in
      for kill in plan.kills {
        guard let container = record.containers.first(where: { $0.id == kill.containerID }) else { continue }
        let pod = pod
        group.addTask { await self.operations.kill(container, of: pod, cause: kill.cause, message: kill.message) }
      }
    }
    guard plan.newSandboxAttempt != nil || plan.startsContainers, !Task.isCancelled else { return }

    let setup: PodSetup
    do {
      setup = try await operations.prepare(
        pod, record, newSandboxAttempt: plan.newSandboxAttempt)
      sandboxFailure = nil
    } catch {
      if Task.isCancelled { return }
      noteSandboxFailure(error)
      return
    }
    for (kind, container) in containers(plan) {
      if Task.isCancelled { return }
      await start(container, kind, setup, record, created: plan.created[container.name])
    }
  }

  private func containers(_ plan: PodPlan) -> [(ContainerKind, Container)] {
    let ephemeral = pod.spec.ephemeralContainers ?? []
    return plan.startEphemeral.map { (.ephemeral(target: ephemeral[$0].targetContainerName), ephemeral[$0].container) }
      + plan.startInit.map { (.initial, pod.initContainers[$0]) } + plan.start.map { (.regular, pod.spec.containers[$0]) }
  }

  /// - Parameter created: id of a container that is there and has not been started.
  private func start(
    _ container: Container, _ kind: ContainerKind, _ setup: PodSetup, _ record: PodRecord, created: String?
  ) async {
    if record.newestEnded(container.name) != nil { backoff.noteRestart(of: container, now: .now) }
    do {
      if let created = record.containers.first(where: { $0.id == created }) {
        if failures[container.name] == nil, created.fits(container, setup) {
          try await operations.start(created, container, of: pod, setup)
          return
        }
        try await operations.removeUnstarted(created, of: pod)
      }
      try await operations.start(container, kind, of: pod, setup, record)
      failures[container.name] = nil
    } catch {
      if Task.isCancelled { return }
      failures[container.name] = StartFailure(error, previous: failures[container.name], now: .now)
      logger.warning("starting a container failed", metadata: ["container": "\(container.name)", "error": "\(error)"])
    }
  }

  private func noteSandboxFailure(_ error: any Error) {
    let failure = StartFailure(error, previous: sandboxFailure, now: .now)
    sandboxFailure = failure
    look(at: failure.retryAt)
    logger.warning("setting up the pod failed", metadata: ["error": "\(error)"])
  }

  // MARK: Taking down

  private func takeDown() async {
    let gracePeriod = ending?.gracePeriod ?? pod.gracePeriod
    await operations.probes.stopLivenessAndStartup(podUID: uid)
    let record = await currentRecord()
    publishStatus(record, now: .now)
    await operations.stopPod(pod, record, gracePeriod: gracePeriod)
    if Task.isCancelled { return }
    let left = await currentRecord()
    if left.isAlive {
      logger.warning("something of the pod still runs; trying again")
      look(at: .now + .seconds(2))
      return
    }
    publishStatus(left, now: .now)
    await operations.probes.remove(podUID: uid)
    do {
      try await operations.releaseResources(of: uid, pod)
    } catch {
      logger.warning("cleaning up after the pod failed; trying again", metadata: ["error": "\(error)"])
      look(at: .now + .seconds(2))
      return
    }
    phase = .ended
    publishStatus(left, now: .now)
    ended()
    if !isWished { return await removeRemains() }
    if pod.isBeingDeleted { operations.reports?.ended(pod) }
  }

  private func removeRemains() async {
    do {
      try await operations.removeRemains(of: pod)
      operations.statuses.remove(uid)
      await operations.images.forget(podUID: uid)
      phase = .gone
    } catch {
      logger.warning("removing what is left of the pod failed; trying again", metadata: ["error": "\(error)"])
      look(at: .now + .seconds(2))
    }
  }

  /// What the engine says now; if it doesn't answer, what it said last.
  private func currentRecord() async -> PodRecord {
    if let record = try? await operations.view.refresh(uid) { return record }
    return await operations.view.record(of: uid) ?? emptyRecord
  }

  private var emptyRecord: PodRecord { PodRecord(uid: uid, name: pod.name, namespace: pod.namespace) }

  private var activeDeadline: Timestamp? {
    guard let seconds = pod.spec.activeDeadlineSeconds, let start = status.startTime else { return nil }
    return start + .seconds(seconds)
  }

  // MARK: Status

  private func publishStatus(_ record: PodRecord, now: Timestamp) {
    readTerminationMessages(record)
    var waiting = failures.mapValues(\.waiting)
    for (name, state) in heldBack { waiting[name] = state }
    if phase != .syncing { waiting = [:] }
    var previous = status
    if let ending {
      previous.reason = ending.reason ?? previous.reason
      previous.message = ending.message ?? previous.message
      if let message = ending.disruption {
        previous.conditions = PodConditions.disrupted(previous.conditions ?? [], message: message, now: now)
      }
      if ending.reason != nil, phase != .syncing, !record.isAlive, previous.phase?.isTerminal != true { previous.phase = .failed }
    }
    let builder = PodStatusBuilder(
      pod: pod, node: operations.node, qosClass: QOSClass.of(pod), scheme: operations.runtime.scheme, record: record,
      previous: previous, waiting: waiting, probes: operations.probeStates(pod, record),
      terminationMessages: terminationMessages, isEnding: phase != .syncing, isStopped: phase != .syncing && !record.isAlive,
      now: now)
    let status = builder.build()
    self.status = status
    if operations.statuses.put(status, of: uid) {
      operations.reports?.statusChanged(of: uid)
      logger.debug("pod status", metadata: ["phase": "\(status.phase?.rawValue ?? "")"])
    }
  }

  private func readTerminationMessages(_ record: PodRecord) {
    terminationMessages = terminationMessages.filter { id, _ in record.containers.contains { $0.id == id } }
    for container in record.containers where container.state == .exited && terminationMessages[container.id] == nil {
      terminationMessages[container.id] = operations.terminationMessage(of: container, pod)
    }
  }
}

extension Pod {
  /// Seconds between the stop signal and SIGKILL.
  var gracePeriod: Int64 { spec.terminationGracePeriodSeconds ?? 30 }

  /// `spec.containers{web}`, as events name a container.
  func fieldPath(ofContainer name: String) -> String {
    if initContainers.contains(where: { $0.name == name }) { return "spec.initContainers{\(name)}" }
    if spec.ephemeralContainers?.contains(where: { $0.container.name == name }) == true { return "spec.ephemeralContainers{\(name)}" }
    return "spec.containers{\(name)}"
  }
}
