import KubernetesAPI
import Testing

@testable import Edged

@Suite struct ProbeStateTests {
  private let start = Timestamp(seconds: 1_700_000_000)

  private func state(_ kind: ProbeKind, success: Int32 = 1, failure: Int32 = 3, delay: Int32 = 0) -> ProbeState {
    var probe = Probe(exec: ExecAction(command: ["x"]))
    probe.successThreshold = success
    probe.failureThreshold = failure
    probe.initialDelaySeconds = delay
    return ProbeState(kind, probe)
  }

  private func target(_ id: String = "1", running: Bool = true, mayRestart: Bool = true) -> ProbeTarget {
    ProbeTarget(containerID: id, running: running, startedAt: start, podIPs: [], mayRestart: mayRestart)
  }

  @Test func theAPIsDefaultsHoldWhereNothingIsGiven() {
    let state = ProbeState(.liveness, Probe())
    #expect(state.successThreshold == 1 && state.failureThreshold == 3 && state.initialDelay == .zero)
  }

  @Test(arguments: [(ProbeKind.readiness, ProbeResult.failure), (.liveness, .success), (.startup, .unknown)])
  func initialResults(kind: ProbeKind, expected: ProbeResult) {
    var state = state(kind)
    #expect(state.result == expected)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    #expect(state.result == expected)
  }

  struct Thresholds: Sendable, CustomTestStringConvertible {
    var kind: ProbeKind
    var success: Int32 = 1
    var failure: Int32 = 3
    /// `+` and `-` are outcomes.
    var outcomes: String
    /// The result after each: `s`, `f`, `u`.
    var results: String
    var testDescription: String { "\(kind) \(success)/\(failure) \(outcomes)" }
  }

  @Test(arguments: [
    Thresholds(kind: .readiness, outcomes: "+---+", results: "sssfs"),
    Thresholds(kind: .readiness, outcomes: "+--+--+", results: "sssssss"),
    Thresholds(kind: .readiness, success: 2, failure: 1, outcomes: "+-++-++", results: "fffsffs"),
    Thresholds(kind: .readiness, success: 3, failure: 2, outcomes: "+++-+-+--", results: "ffssssssf"),
    Thresholds(kind: .liveness, outcomes: "+--", results: "sss"),
    Thresholds(kind: .liveness, outcomes: "---", results: "ssf"),
    Thresholds(kind: .liveness, failure: 1, outcomes: "-", results: "f"),
    Thresholds(kind: .startup, failure: 2, outcomes: "-+", results: "us"),
    Thresholds(kind: .startup, failure: 2, outcomes: "--", results: "uf"),
  ])
  func thresholds(_ row: Thresholds) {
    var state = state(row.kind, success: row.success, failure: row.failure)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    var results = ""
    for outcome in row.outcomes {
      let before = state.result
      let changed = state.record(success: outcome == "+")
      #expect(changed == (state.result != before))
      results += state.result == .success ? "s" : state.result == .failure ? "f" : "u"
    }
    #expect(results == row.results)
  }

  struct Hold: Sendable, CustomTestStringConvertible {
    var kind: ProbeKind
    var success: Bool
    var holds: Bool
    var testDescription: String { "\(kind) \(success)" }
  }

  @Test(arguments: [
    Hold(kind: .liveness, success: false, holds: true), Hold(kind: .liveness, success: true, holds: false),
    Hold(kind: .startup, success: false, holds: true), Hold(kind: .startup, success: true, holds: true),
    Hold(kind: .readiness, success: false, holds: false), Hold(kind: .readiness, success: true, holds: false),
  ])
  func finalResultsHoldUntilANewContainer(_ row: Hold) {
    var state = state(row.kind, failure: 1)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    _ = state.record(success: row.success)
    #expect(state.step(target(), isStopping: false, hasStarted: true) == (row.holds ? .wait : .probe(notBefore: start)))
    #expect(state.result == (row.success ? .success : .failure))
    let initial = self.state(row.kind).result
    #expect(state.step(target("2"), isStopping: false, hasStarted: true) == .probe(notBefore: start))
    #expect(state.result == initial)
  }

  @Test func aNewContainerStartsCountingAnew() {
    var state = state(.liveness)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    _ = state.record(success: false)
    _ = state.record(success: false)
    _ = state.step(target("2"), isStopping: false, hasStarted: true)
    let changed = state.record(success: false)
    #expect(!changed)
    #expect(state.result == .success)
  }

  @Test(arguments: [(ProbeKind.startup, true), (.liveness, false), (.readiness, false)])
  func theStartupProbeComesFirst(kind: ProbeKind, runsBeforeStart: Bool) {
    var state = state(kind)
    #expect(state.step(target(), isStopping: false, hasStarted: false) == (runsBeforeStart ? .probe(notBefore: start) : .wait))
    #expect(state.step(target(), isStopping: false, hasStarted: true) == .probe(notBefore: start))
  }

  @Test func theInitialDelayCountsFromTheStart() {
    var state = state(.liveness, delay: 20)
    #expect(state.step(target(), isStopping: false, hasStarted: true) == .probe(notBefore: start + .seconds(20)))
  }

  @Test(arguments: ProbeKind.allCases)
  func aContainerThatIsDownFails(kind: ProbeKind) {
    var state = state(kind)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    if kind != .startup { _ = state.record(success: true) }
    #expect(state.step(target(running: false), isStopping: false, hasStarted: true) == .wait)
    #expect(state.result == .failure)
    #expect(state.step(target(running: false, mayRestart: false), isStopping: false, hasStarted: true) == .end)
    #expect(state.step(target("2"), isStopping: false, hasStarted: true) == .probe(notBefore: start))
  }

  @Test func aContainerSeenBeforeItsStartBeginsWithTheInitialResult() {
    var state = state(.liveness)
    _ = state.step(target(running: false), isStopping: false, hasStarted: true)
    #expect(state.step(target(), isStopping: false, hasStarted: true) == .probe(notBefore: start))
    #expect(state.result == .success)
  }

  @Test(arguments: [(ProbeKind.startup, true), (.liveness, true), (.readiness, false)])
  func aPodBeingStoppedIsNotKilledByProbes(kind: ProbeKind, ends: Bool) {
    var state = state(kind, failure: 1)
    _ = state.step(target(), isStopping: false, hasStarted: true)
    #expect(state.step(target(), isStopping: true, hasStarted: true) == (ends ? .end : .probe(notBefore: start)))
    #expect(state.result == (ends ? .success : .failure))
    #expect(state.step(target(), isStopping: true, hasStarted: true) == (ends ? .end : .probe(notBefore: start)))
  }

  struct Adoption: Sendable, CustomTestStringConvertible {
    var kind: ProbeKind
    var ready: Bool?
    var started: Bool?
    var result: ProbeResult
    var runs = true
    var testDescription: String { "\(kind) \(ready.map { "\($0)" } ?? "-") \(started.map { "\($0)" } ?? "-")" }
  }

  @Test(arguments: [
    Adoption(kind: .readiness, ready: true, result: .success), Adoption(kind: .readiness, ready: false, result: .failure),
    Adoption(kind: .readiness, result: .unknown), Adoption(kind: .liveness, ready: false, result: .success),
    Adoption(kind: .startup, started: true, result: .success, runs: false), Adoption(kind: .startup, started: false, result: .unknown),
    Adoption(kind: .startup, result: .unknown),
  ])
  func aContainerOlderThanTheAgentKeepsItsState(_ row: Adoption) {
    var state = state(row.kind)
    var target = target()
    target.startedBeforeAgent = true
    target.recordedReady = row.ready
    target.recordedStarted = row.started
    #expect(state.step(target, isStopping: false, hasStarted: true) == (row.runs ? .probe(notBefore: start) : .wait))
    #expect(state.result == row.result)
  }
}
