import KubernetesAPI
import MetricsTestKit
import Synchronization
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct ProbersTests {
  /// Probers whose attempts are answered by a script: what the probe's command names is looked up.
  private final class Bench: Sendable {
    let clock = ProbeTestClock()
    let events = RecordedEvents()
    let metrics = TestMetrics()
    let probers: Probers
    private let log = Log()

    final class Log: Sendable {
      let attempts = Mutex<[String]>([])
      let changes = Mutex<[ProbeChange]>([])
    }

    init(
      agentAge: Duration = .seconds(100_000), random: Double = 0,
      _ answer: @escaping @Sendable (_ name: String, _ number: Int, ProbeJob) async -> ProbeOutcome
    ) {
      let log = log
      probers = Probers(
        events: events,
        attempt: { job in
          let name = job.probe.exec?.command?.first ?? ""
          let number = log.attempts.withLock { attempts in
            attempts.append(name)
            return attempts.count { $0 == name }
          }
          return await answer(name, number, job)
        },
        clock: clock.probeClock, randomFraction: { random }, metrics: metrics,
        onChange: { change in log.changes.withLock { $0.append(change) } })
      clock.advance(by: agentAge)
    }

    var attempts: [String] { log.attempts.withLock { $0 } }
    var changes: [String] { log.changes.withLock { $0 }.map { "\($0.containerID) \($0.kind) \($0.result) \($0.message)" } }
    func results(_ id: String = "1") -> ContainerProbeResults? { probers.results(podUID: "uid")[id] }

    func target(_ id: String = "1", running: Bool = true, mayRestart: Bool = true) -> ProbeTarget {
      ProbeTarget(containerID: id, running: running, startedAt: clock.wall, podIPs: ["127.0.0.1"], mayRestart: mayRestart)
    }
  }

  private func probe(_ name: String, period: Int32 = 10, delay: Int32 = 0, success: Int32 = 1, failure: Int32 = 3) -> Probe {
    var probe = Probe(exec: ExecAction(command: [name]))
    probe.periodSeconds = period
    probe.initialDelaySeconds = delay
    probe.successThreshold = success
    probe.failureThreshold = failure
    return probe
  }

  private func pod(_ containers: [Container], sidecars: [Container] = []) -> Pod {
    var spec = PodSpec(containers: containers)
    spec.initContainers = sidecars.map { sidecar in
      var sidecar = sidecar
      sidecar.restartPolicy = .always
      return sidecar
    }
    return Pod(metadata: ObjectMeta(name: "web", namespace: "shop", uid: "uid"), spec: spec)
  }

  private func container(_ name: String = "app", startup: Probe? = nil, liveness: Probe? = nil, readiness: Probe? = nil) -> Container {
    var container = Container(name: name)
    container.startupProbe = startup
    container.livenessProbe = liveness
    container.readinessProbe = readiness
    return container
  }

  @Test func aPodWithoutProbesLeavesNoTrace() async {
    let bench = Bench { _, _, _ in .success() }
    await bench.probers.update(pod([container()]), targets: ["app": bench.target()])
    #expect(bench.probers.results(podUID: "uid").isEmpty)
    await bench.probers.stopLivenessAndStartup(podUID: "uid")
    await bench.probers.remove(podUID: "uid")
  }

  @Test func livenessFailsOnceAndRunsAgainForTheNextContainer() async {
    let bench = Bench { _, number, _ in number <= 4 ? .failure("no \(number)") : .success() }
    let pod = pod([container(liveness: probe("live", failure: 4))])
    await bench.probers.update(pod, targets: ["app": bench.target()])
    #expect(bench.results() == ContainerProbeResults(liveness: .success))
    for _ in 0..<3 {
      await bench.clock.sleepers(1)
      bench.clock.advance(by: .seconds(10))
    }
    await bench.probers.waitUntil { bench.changes == ["1 liveness failure no 4"] }
    #expect(bench.events.all == (1...4).map { "Warning Unhealthy spec.containers{app}: Liveness probe failed: no \($0)" })
    #expect(bench.results()?.liveness == .failure)

    await bench.probers.update(pod, targets: ["app": bench.target()])
    await bench.clock.sleepers(0)
    #expect(bench.attempts.count == 4)
    await bench.probers.update(pod, targets: ["app": bench.target(running: false)])
    #expect(bench.results()?.liveness == .failure)

    await bench.probers.update(pod, targets: ["app": bench.target("2")])
    #expect(bench.results() == nil)
    #expect(bench.results("2")?.liveness == .success)
    await bench.clock.sleepers(1)
    #expect(bench.attempts.count == 5)
    await bench.probers.shutdown()
    #expect(bench.probers.results(podUID: "uid").isEmpty)
  }

  @Test func theOthersWaitForTheStartupProbe() async {
    let bench = Bench { name, number, _ in name == "start" && number < 3 ? .failure("not yet") : .success("up") }
    let pod = pod([container(startup: probe("start", period: 5), liveness: probe("live"), readiness: probe("ready"))])
    await bench.probers.update(pod, targets: ["app": bench.target()])
    #expect(bench.results() == ContainerProbeResults(readiness: .failure, liveness: .success, startup: .unknown))
    for _ in 0..<2 {
      await bench.clock.sleepers(1)
      bench.clock.advance(by: .seconds(5))
    }
    await bench.clock.sleepers(2)
    #expect(bench.attempts.prefix(3) == ["start", "start", "start"])
    #expect(bench.attempts.dropFirst(3).sorted() == ["live", "ready"])
    #expect(bench.changes == ["1 startup success up", "1 readiness success up"])
    bench.clock.advance(by: .seconds(10))
    await bench.clock.sleepers(2)
    #expect(bench.attempts.count { $0 == "start" } == 3)
    #expect(bench.results() == ContainerProbeResults(readiness: .success, liveness: .success, startup: .success))
    await bench.probers.shutdown()
  }

  @Test func theInitialDelayIsKeptAlsoForTheNextContainer() async {
    let bench = Bench { _, _, _ in .success() }
    let pod = pod([container(readiness: probe("ready", delay: 30))])
    for id in ["1", "2"] {
      let before = bench.attempts.count
      await bench.probers.update(pod, targets: ["app": bench.target(id)])
      await bench.clock.sleepers(1)
      bench.clock.advance(by: .milliseconds(29_999))
      await bench.clock.sleepers(1)
      #expect(bench.attempts.count == before)
      #expect(bench.results(id)?.readiness == .failure)
      bench.clock.advance(by: .milliseconds(1))
      await bench.probers.waitUntil { bench.results(id)?.readiness == .success }
      await bench.clock.sleepers(1)
      #expect(bench.attempts.count == before + 1)
    }
    await bench.probers.shutdown()
  }

  @Test func aClockSetBackDoesNotLengthenTheDelay() async {
    let bench = Bench { _, _, _ in .success() }
    var target = bench.target()
    target.startedAt = bench.clock.wall + .seconds(1_000_000)
    await bench.probers.update(pod([container(readiness: probe("ready", delay: 30))]), targets: ["app": target])
    await bench.clock.sleepers(1)
    bench.clock.advance(by: .seconds(30))
    await bench.probers.waitUntil { bench.attempts.count == 1 }
    await bench.probers.shutdown()
  }

  @Test func aYoungAgentSpreadsItsFirstProbes() async {
    let bench = Bench(agentAge: .seconds(9), random: 0.5) { _, _, _ in .success() }
    let pod = pod([container(liveness: probe("live", period: 10)), container("quick", liveness: probe("quick", period: 9))])
    await bench.probers.update(pod, targets: ["app": bench.target(), "quick": bench.target("2")])
    await bench.clock.sleepers(2)
    #expect(bench.attempts == ["quick"])
    bench.clock.advance(by: .milliseconds(4_999))
    await bench.clock.sleepers(2)
    #expect(bench.attempts == ["quick"])
    bench.clock.advance(by: .milliseconds(1))
    await bench.probers.waitUntil { bench.attempts == ["quick", "live"] }
    await bench.probers.shutdown()
  }

  @Test func errorsAreRetriedAndSayNothingOfTheContainer() async {
    let bench = Bench { _, number, _ in
      switch number {
      case 1...3: .unknown("engine gone")
      case 4: .unknown("engine gone")
      default: .success()
      }
    }
    await bench.probers.update(pod([container(readiness: probe("ready"))]), targets: ["app": bench.target()])
    await bench.clock.sleepers(1)
    #expect(bench.attempts.count == 3)
    #expect(bench.changes.isEmpty)
    let message = "Readiness probe errored and resulted in unknown state: engine gone"
    #expect(bench.events.all == ["Warning Unhealthy spec.containers{app}: \(message)"])
    bench.clock.advance(by: .seconds(10))
    await bench.probers.waitUntil { bench.changes.count == 1 }
    #expect(bench.attempts.count == 5)
    #expect(bench.events.all.count == 1)
    await bench.probers.shutdown()
  }

  @Test func warningsAreSuccesses() async {
    let bench = Bench { _, _, _ in .warning("moved") }
    let pod = pod([container()], sidecars: [container("proxy", readiness: probe("ready"))])
    await bench.probers.update(pod, targets: ["proxy": bench.target()])
    await bench.clock.sleepers(1)
    #expect(bench.results()?.readiness == .success)
    #expect(bench.events.all == ["Warning ProbeWarning spec.initContainers{proxy}: Readiness probe warning: moved"])
    await bench.probers.shutdown()
  }

  @Test(arguments: ["deletion", "termination"])
  func onlyReadinessGoesOnWhenAPodStops(cause: String) async {
    let bench = Bench { name, _, _ in name == "ready" ? .success() : .failure("no") }
    var pod = pod([
      container(liveness: probe("live", failure: 2), readiness: probe("ready")),
      container("slow", startup: probe("start", failure: 2), readiness: probe("ready")),
    ])
    let targets = ["app": bench.target(), "slow": bench.target("2")]
    await bench.probers.update(pod, targets: targets)
    await bench.clock.sleepers(3)
    if cause == "deletion" {
      pod.metadata.deletionTimestamp = bench.clock.wall
      await bench.probers.update(pod, targets: targets)
    } else {
      await bench.probers.stopLivenessAndStartup(podUID: "uid")
    }
    #expect(bench.results()?.liveness == .success)
    #expect(bench.results("2")?.startup == .success)
    await bench.clock.sleepers(2)
    bench.clock.advance(by: .seconds(10))
    await bench.clock.sleepers(2)
    #expect(bench.attempts.filter { $0 != "ready" }.sorted() == ["live", "start"])
    #expect(bench.changes == ["1 readiness success ", "2 readiness success "])
    await bench.probers.remove(podUID: "uid")
    await bench.clock.sleepers(0)
  }

  @Test func aContainerThatIsDownIsNotProbed() async {
    let bench = Bench { _, _, _ in .success() }
    let pod = pod([container(readiness: probe("ready"))])
    await bench.probers.update(pod, targets: ["app": bench.target()])
    await bench.clock.sleepers(1)
    await bench.probers.update(pod, targets: ["app": bench.target(running: false)])
    #expect(bench.results()?.readiness == .failure)
    await bench.clock.sleepers(0)
    await bench.probers.update(pod, targets: [:])
    #expect(bench.results() == nil)
    await bench.probers.update(pod, targets: ["app": bench.target("2")])
    await bench.clock.sleepers(1)
    #expect(bench.results("2")?.readiness == .success)
    var finished = pod
    finished.status = PodStatus()
    finished.status?.phase = .succeeded
    await bench.probers.update(finished, targets: ["app": bench.target("2")])
    await bench.clock.sleepers(0)
  }

  @Test func aHangingProbeHoldsNoOtherUpAndEndsBeforeRemoveReturns() async {
    let flag = Flag()
    let bench = Bench { name, _, _ in
      guard name == "hang" else { return .success() }
      do { try await Task.sleep(for: .seconds(3600)) } catch { flag.set() }
      return .failure("cut off")
    }
    let pod = pod([container(liveness: probe("hang", failure: 1), readiness: probe("ready"))])
    await bench.probers.update(pod, targets: ["app": bench.target()])
    for _ in 0..<3 {
      await bench.clock.sleepers(1)
      bench.clock.advance(by: .seconds(10))
    }
    await bench.probers.waitUntil { bench.attempts.count { $0 == "ready" } == 4 && bench.attempts.contains("hang") }
    await bench.probers.remove(podUID: "uid")
    #expect(flag.isSet)
    #expect(!bench.changes.contains { $0.contains("liveness") })
    #expect(bench.events.all.isEmpty)
  }

  @Test func addressesAreThoseOfTheLastObservation() async {
    let seen = Seen()
    let bench = Bench { _, _, job in
      seen.add(job.podIPs.first ?? "")
      return .success()
    }
    let pod = pod([container(readiness: probe("ready"))])
    var target = bench.target()
    await bench.probers.update(pod, targets: ["app": target])
    await bench.clock.sleepers(1)
    target.podIPs = ["127.0.0.2"]
    await bench.probers.update(pod, targets: ["app": target])
    bench.clock.advance(by: .seconds(10))
    await bench.clock.sleepers(1)
    #expect(seen.all == ["127.0.0.1", "127.0.0.2"])
    await bench.probers.shutdown()
  }

  @Test func outcomesAreCounted() async throws {
    let bench = Bench { _, number, _ in number == 1 ? .success() : .failure("no") }
    await bench.probers.update(pod([container(readiness: probe("ready"))]), targets: ["app": bench.target()])
    for _ in 0..<2 {
      await bench.clock.sleepers(1)
      bench.clock.advance(by: .seconds(10))
    }
    await bench.clock.sleepers(1)
    for (result, count) in [("successful", 1), ("failed", 2)] {
      let counter = try bench.metrics.expectCounter(
        "prober_probe_total",
        [
          ("probe_type", "Readiness"), ("container", "app"), ("pod", "web"), ("namespace", "shop"), ("pod_uid", "uid"),
          ("result", result),
        ])
      #expect(counter.totalValue == Int64(count))
    }
    await bench.probers.remove(podUID: "uid")
    #expect(bench.metrics.counters.isEmpty)
  }
}

private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

private final class Seen: Sendable {
  private let values = Mutex<[String]>([])
  var all: [String] { values.withLock { $0 } }
  func add(_ value: String) { values.withLock { $0.append(value) } }
}

extension Probers {
  /// Lets other tasks run until something is so.
  nonisolated func waitUntil(_ isSo: @Sendable () -> Bool) async {
    while !isSo() { await Task.yield() }
  }
}
