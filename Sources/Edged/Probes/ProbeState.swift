import KubernetesAPI

/// One probe of one container: when it runs, and what its attempts add up to.
///
/// It knows no clock and starts nothing. `step` tells what to do after each observation of the container, `record` takes the
/// outcome of an attempt.
struct ProbeState: Sendable, Hashable {
  enum Step: Sendable, Hashable {
    /// Nothing to do until the next observation.
    case wait
    /// Probe once a period, but not before this time.
    case probe(notBefore: Timestamp)
    /// Nothing to do any more, unless another container takes the place of this one.
    case end
  }

  let kind: ProbeKind
  let initialDelay: Duration
  let successThreshold: Int
  let failureThreshold: Int

  private(set) var containerID: String?
  private(set) var result: ProbeResult
  /// The result is final for this container.
  private(set) var isHeld = false
  private var hasEnded = false
  private var wasDown = false
  private var runOfSuccesses = 0
  private var runOfFailures = 0

  init(_ kind: ProbeKind, _ probe: Probe) {
    self.kind = kind
    self.initialDelay = .seconds(max(0, probe.initialDelaySeconds ?? 0))
    self.successThreshold = Int(max(1, probe.successThreshold ?? 1))
    self.failureThreshold = Int(max(1, probe.failureThreshold ?? 3))
    self.result = Self.initialResult(of: kind)
  }

  private static func initialResult(of kind: ProbeKind) -> ProbeResult {
    switch kind {
    case .readiness: .failure
    case .liveness: .success
    case .startup: .unknown
    }
  }

  /// - Parameters:
  ///   - isStopping: the pod is being deleted or terminated.
  ///   - hasStarted: the container's startup probe has succeeded, or there is none.
  mutating func step(_ target: ProbeTarget, isStopping: Bool, hasStarted: Bool) -> Step {
    // A container that was observed before its start comes up under the same id.
    if containerID != target.containerID || (wasDown && target.running) { begin(target) }
    if hasEnded { return .end }
    guard target.running else {
      wasDown = true
      if !isHeld { result = .failure }
      return target.mayRestart ? .wait : end()
    }
    if isStopping, kind != .readiness {
      result = .success
      return end()
    }
    guard !isHeld, kind == .startup || hasStarted else { return .wait }
    return .probe(notBefore: target.startedAt + initialDelay)
  }

  /// Takes an attempt's outcome, and tells whether the result changed.
  mutating func record(success: Bool) -> Bool {
    if success {
      runOfSuccesses += 1
      runOfFailures = 0
    } else {
      runOfFailures += 1
      runOfSuccesses = 0
    }
    guard success ? runOfSuccesses >= successThreshold : runOfFailures >= failureThreshold else { return false }
    let decided: ProbeResult = success ? .success : .failure
    if kind == .startup || (kind == .liveness && !success) { isHeld = true }
    guard decided != result else { return false }
    result = decided
    return true
  }

  private mutating func begin(_ target: ProbeTarget) {
    containerID = target.containerID
    result = Self.initialResult(of: kind)
    isHeld = false
    hasEnded = false
    wasDown = false
    runOfSuccesses = 0
    runOfFailures = 0
    guard target.startedBeforeAgent else { return }
    switch kind {
    case .readiness:
      result = target.recordedReady.map { $0 ? .success : .failure } ?? .unknown
    case .startup where target.recordedStarted == true:
      result = .success
      isHeld = true
    case .startup, .liveness: break
    }
  }

  private mutating func end() -> Step {
    hasEnded = true
    return .end
  }
}
