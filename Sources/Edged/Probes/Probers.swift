import Curl
import KubernetesAPI
import Metrics
import Runtime
import Synchronization

/// Probes the containers of pods.
///
/// Every probe of a running container has a task of its own, which ends while there is nothing to probe: before the startup
/// probe has succeeded, after a final result, while the container is down. Pods without probes cost nothing.
public actor Probers {
  typealias Attempt = @Sendable (ProbeJob) async -> ProbeOutcome

  private let events: any EventRecording
  private let attempt: Attempt
  private let clock: ProbeClock
  private let randomFraction: @Sendable () -> Double
  private let metrics: any MetricsFactory
  private let onChange: @Sendable (ProbeChange) -> Void
  private let startedAt: Duration
  private var pods: [String: ProbedPod] = [:]
  private let table = Mutex<[String: [String: ContainerProbeResults]]>([:])

  /// - Parameter onChange: called when an attempt changed a probe's result; it must return at once. Changes that `update` and
  ///   `stopLivenessAndStartup` make by themselves are not reported: who calls them looks the results up afterwards.
  public init(
    events: any EventRecording, http: HTTPClient, runCommand: @escaping CommandRunner,
    onChange: @escaping @Sendable (ProbeChange) -> Void
  ) {
    let executor = ProbeExecutor(http: http, runCommand: runCommand)
    self.init(events: events, attempt: { await executor.attempt($0) }, onChange: onChange)
  }

  init(
    events: any EventRecording, attempt: @escaping Attempt, clock: ProbeClock = .system,
    randomFraction: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
    metrics: any MetricsFactory = MetricsSystem.factory, onChange: @escaping @Sendable (ProbeChange) -> Void
  ) {
    self.events = events
    self.attempt = attempt
    self.clock = clock
    self.randomFraction = randomFraction
    self.metrics = metrics
    self.onChange = onChange
    self.startedAt = clock.now()
  }

  /// The present results by the engine's container id. A container observed in the last `update` is there if it has probes.
  public nonisolated func results(podUID: String) -> [String: ContainerProbeResults] {
    table.withLock { $0[podUID] ?? [:] }
  }

  /// Takes what was observed of a pod. When it returns, `results` holds the results of its containers.
  /// - Parameter targets: regular containers and sidecars that exist in the engine, by name.
  public func update(_ pod: Pod, targets: [String: ProbeTarget]) {
    guard let probed = pods[pod.uid] ?? begin(pod) else { return }
    probed.pod = pod
    probed.targets = targets
    if pod.metadata.deletionTimestamp != nil { probed.isStopping = true }
    settle(probed)
  }

  /// Ends the probes that could restart a container of a pod that is being terminated; readiness goes on.
  public func stopLivenessAndStartup(podUID: String) {
    guard let probed = pods[podUID] else { return }
    probed.isStopping = true
    settle(probed)
  }

  /// Forgets a pod; returns when none of its probes runs any more.
  public func remove(podUID: String) async {
    guard let probed = pods.removeValue(forKey: podUID) else { return }
    table.withLock { $0[podUID] = nil }
    for prober in probed.probers {
      prober.task?.cancel()
      prober.counters.destroy()
    }
    for task in probed.probers.compactMap(\.task) { await task.value }
  }

  /// Forgets all pods; returns when no probe runs any more.
  public func shutdown() async {
    for uid in Array(pods.keys) { pods[uid]?.probers.forEach { $0.task?.cancel() } }
    for uid in Array(pods.keys) { await remove(podUID: uid) }
  }

  private func begin(_ pod: Pod) -> ProbedPod? {
    let sidecars = (pod.spec.initContainers ?? []).filter { $0.restartPolicy == .always }
    var probers: [Prober] = []
    for (container, list) in sidecars.map({ ($0, "initContainers") }) + pod.spec.containers.map({ ($0, "containers") }) {
      for kind in ProbeKind.allCases {
        guard let probe = kind.probe(of: container) else { continue }
        probers.append(
          Prober(
            kind: kind, container: container, probe: probe, fieldPath: "spec.\(list){\(container.name)}",
            counters: ProbeCounters(kind, container: container.name, pod: pod, factory: metrics)))
      }
    }
    guard !probers.isEmpty else { return nil }
    let probed = ProbedPod(pod, probers)
    pods[pod.uid] = probed
    return probed
  }

  /// Starts and ends tasks until they are what the observation demands.
  private func settle(_ probed: ProbedPod) {
    let isFinished = probed.pod.status?.phase?.isTerminal ?? false
    for prober in probed.probers {
      guard !isFinished, let target = probed.targets[prober.container.name] else {
        prober.stop()
        continue
      }
      // Startup comes first among a container's probers, so that its step has seen the container before the others ask.
      let hasStarted = probed.hasStarted(prober.container)
      if prober.state.containerID != target.containerID { prober.stop() }
      guard case .probe(let time) = prober.state.step(target, isStopping: probed.isStopping, hasStarted: hasStarted) else {
        prober.stop()
        continue
      }
      if !prober.isProbing { start(prober, of: probed, notBefore: time) }
    }
    publish(probed)
  }

  private func publish(_ probed: ProbedPod) {
    var results: [String: ContainerProbeResults] = [:]
    for prober in probed.probers {
      guard let id = prober.state.containerID, probed.targets[prober.container.name]?.containerID == id else { continue }
      results[id, default: ContainerProbeResults()][prober.kind] = prober.state.result
    }
    table.withLock { $0[probed.pod.uid] = results }
  }

  private func start(_ prober: Prober, of probed: ProbedPod, notBefore: Timestamp) {
    // The wall clock may have been set since the container started; the wait is never longer than the delay itself.
    var delay = min(max(.zero, notBefore - clock.wall()), prober.state.initialDelay)
    // After a restart of the agent, the probes of all pods would run at the same moment.
    if !prober.hasRun, clock.now() - startedAt < prober.period { delay = max(delay, prober.period * randomFraction()) }
    prober.hasRun = true
    prober.isProbing = true
    let first = clock.now() + delay
    let previous = prober.task
    prober.task = Task {
      await previous?.value
      await self.run(prober, of: probed, first: first)
    }
  }

  private func run(_ prober: Prober, of probed: ProbedPod, first: Duration) async {
    let tolerance = min(prober.period / 10, .milliseconds(500))
    var planned = first
    while !Task.isCancelled {
      if planned > clock.now() {
        do { try await clock.sleep(planned, tolerance) } catch { return }
      }
      guard !Task.isCancelled, let target = probed.targets[prober.container.name] else { return }
      let outcome = await outcome(
        of: ProbeJob(
          probe: prober.probe, container: prober.container, podName: probed.pod.fullName, containerID: target.containerID,
          podIPs: target.podIPs))
      // What stops a prober cancels its task within this actor: an outcome that comes later counts no more.
      guard !Task.isCancelled else { return }
      conclude(outcome, prober, of: probed, containerID: target.containerID)
      guard !Task.isCancelled else { return }
      // An attempt may take longer than a period.
      planned = max(planned + prober.period, clock.now())
    }
  }

  private nonisolated func outcome(of job: ProbeJob) async -> ProbeOutcome {
    let attemptsOnError = 3
    var outcome = await attempt(job)
    for _ in 1..<attemptsOnError where outcome.verdict == .unknown && !Task.isCancelled { outcome = await attempt(job) }
    return outcome
  }

  private func conclude(_ outcome: ProbeOutcome, _ prober: Prober, of probed: ProbedPod, containerID: String) {
    prober.counters.count(outcome.verdict)
    report(outcome, prober, probed.pod)
    guard outcome.verdict != .unknown else { return }
    let changed = prober.state.record(success: outcome.verdict != .failure)
    // A final result ends this task, and a startup probe's success begins the container's other probes.
    if prober.state.isHeld || changed { settle(probed) }
    guard changed else { return }
    onChange(
      ProbeChange(
        podUID: probed.pod.uid, container: prober.container.name, containerID: containerID, kind: prober.kind,
        result: prober.state.result, message: outcome.output))
  }

  private func report(_ outcome: ProbeOutcome, _ prober: Prober, _ pod: Pod) {
    let kind = prober.kind.rawValue
    switch outcome.verdict {
    case .success: break
    case .warning:
      events.record(
        pod, fieldPath: prober.fieldPath, .warning, reason: "ProbeWarning", message: "\(kind) probe warning: \(outcome.output)")
    case .failure:
      events.record(pod, fieldPath: prober.fieldPath, .warning, reason: "Unhealthy", message: "\(kind) probe failed: \(outcome.output)")
    case .unknown:
      events.record(
        pod, fieldPath: prober.fieldPath, .warning, reason: "Unhealthy",
        message: "\(kind) probe errored and resulted in unknown state: \(outcome.output)")
    }
  }
}

/// A pod with probes; belongs to the actor.
private final class ProbedPod {
  var pod: Pod
  var targets: [String: ProbeTarget] = [:]
  var isStopping = false
  let probers: [Prober]

  init(_ pod: Pod, _ probers: [Prober]) {
    self.pod = pod
    self.probers = probers
  }

  func hasStarted(_ container: Container) -> Bool {
    guard container.startupProbe != nil else { return true }
    return probers.contains { $0.kind == .startup && $0.container.name == container.name && $0.state.result == .success }
  }
}

/// One probe of one container of a pod; belongs to the actor.
private final class Prober {
  let kind: ProbeKind
  let container: Container
  let probe: Probe
  let fieldPath: String
  let counters: ProbeCounters
  let period: Duration
  var state: ProbeState
  /// The last task; it awaits the ones before it.
  var task: Task<Void, Never>?
  var isProbing = false
  var hasRun = false

  init(kind: ProbeKind, container: Container, probe: Probe, fieldPath: String, counters: ProbeCounters) {
    self.kind = kind
    self.container = container
    self.probe = probe
    self.fieldPath = fieldPath
    self.counters = counters
    self.period = .seconds(max(1, probe.periodSeconds ?? 10))
    self.state = ProbeState(kind, probe)
  }

  func stop() {
    guard isProbing else { return }
    isProbing = false
    task?.cancel()
  }
}
