import KubernetesAPI
import Testing

@testable import Edged

@Suite struct PodPlannerTests {
  // MARK: Sandboxes

  @Test func aNewPodGetsASandboxAndAllItsContainers() {
    let plan = Fixture.plan(Fixture.pod(["a", "b"]), Fixture.record([], sandboxes: []))
    #expect(plan.newSandboxAttempt == 0)
    #expect(plan.start == [0, 1])
    #expect(!plan.stopsPod)
  }

  @Test func aNewPodWithInitContainersStartsWithTheFirst() {
    let pod = Fixture.pod(initial: [Container(name: "i1"), Container(name: "i2")])
    let plan = Fixture.plan(pod, Fixture.record([], sandboxes: []))
    #expect(plan.newSandboxAttempt == 0)
    #expect(plan.startInit == [0])
    #expect(plan.start.isEmpty)
  }

  @Test(arguments: [
    (Fixture.sandbox(), false, nil as UInt32?),
    (Fixture.sandbox(ready: false), false, 1),
    (Fixture.sandbox(ip: ""), false, 1),
    (Fixture.sandbox(ip: "", hostNetwork: true), true, nil),
    (Fixture.sandbox(), true, 1),
    (Fixture.sandbox(attempt: 4, ready: false), false, 5),
  ])
  func aSandboxThatIsNotGoodIsReplaced(sandbox: SandboxRecord, hostNetwork: Bool, attempt: UInt32?) throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning)], sandboxes: [sandbox])
    let plan = Fixture.plan(Fixture.pod(hostNetwork: hostNetwork), record)
    #expect(plan.newSandboxAttempt == attempt)
    #expect(plan.stopsPod == (attempt != nil))
  }

  @Test func twoReadySandboxesAreOneTooMany() throws {
    let record = Fixture.record(
      [try Fixture.container("web", .containerRunning)], sandboxes: [Fixture.sandbox(), Fixture.sandbox(attempt: 1)])
    let plan = Fixture.plan(Fixture.pod(), record)
    #expect(plan.stopsPod)
    #expect(plan.newSandboxAttempt == 2)
  }

  @Test(arguments: [RestartPolicy.never, .onFailure])
  func aPodThatIsDoneGetsNoNewSandbox(policy: RestartPolicy) throws {
    let record = Fixture.record(
      [try Fixture.container("web", .containerExited, finished: 50)], sandboxes: [Fixture.sandbox(ready: false)])
    #expect(Fixture.plan(Fixture.pod(policy: policy), record).isEmpty)
  }

  // MARK: Restart

  @Test(arguments: [
    (RestartPolicy.always, 0 as Int32, true), (.always, 1, true), (.onFailure, 0, false), (.onFailure, 1, true), (.never, 0, false),
    (.never, 1, false),
  ])
  func theRestartPolicyDecides(policy: RestartPolicy, exit: Int32, restarts: Bool) throws {
    let record = Fixture.record([
      try Fixture.container("web", .containerExited, exit: exit, finished: 50), try Fixture.container("other", .containerRunning),
    ])
    let plan = Fixture.plan(Fixture.pod(["web", "other"], policy: policy), record)
    #expect(plan.start == (restarts ? [0] : []))
    #expect(!plan.stopsPod)
  }

  @Test func whenAllAreDoneTheSandboxIsStopped() throws {
    let record = Fixture.record([try Fixture.container("web", .containerExited, finished: 50)])
    let plan = Fixture.plan(Fixture.pod(policy: .never), record)
    #expect(plan.stopsPod)
    #expect(plan.newSandboxAttempt == nil)
    #expect(!plan.startsContainers)
  }

  @Test func aContainerThatWasCreatedAndNotStartedIsStartedItself() throws {
    let plan = Fixture.plan(Fixture.pod(), Fixture.record([try Fixture.container("web", .containerCreated)]))
    #expect(plan.created == ["web": "web-0"])
    #expect(plan.start == [0])
  }

  @Test func aChangedDefinitionRestartsWhateverThePolicy() throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning, hash: "beef")])
    let plan = Fixture.plan(Fixture.pod(policy: .never), record)
    #expect(plan.kills.map(\.message) == ["Container web definition changed, will be restarted"])
    #expect(plan.start == [0])
  }

  @Test func aContainerWithoutAHashIsAdoptedAsItIs() throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning, hash: "")])
    #expect(Fixture.plan(Fixture.pod(), record).isEmpty)
  }

  @Test(arguments: [
    (ProbeVerdict(livenessFailed: true), RestartPolicy.always, "Container web failed liveness probe, will be restarted", [0]),
    (ProbeVerdict(startup: .failed), .onFailure, "Container web failed startup probe, will be restarted", [0]),
    (ProbeVerdict(livenessFailed: true), .never, "Container web failed liveness probe, will be restarted", []),
  ])
  func aFailedProbeKills(verdict: ProbeVerdict, policy: RestartPolicy, message: String, starts: [Int]) throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning)])
    let plan = Fixture.plan(Fixture.pod(policy: policy), record, probes: ["web": verdict])
    #expect(plan.kills.map(\.message) == [message])
    #expect(plan.start == starts)
  }

  @Test func aHealthyPodNeedsNothing() throws {
    let plan = Fixture.plan(Fixture.pod(), Fixture.record([try Fixture.container("web", .containerRunning)]))
    #expect(plan == PodPlan())
  }

  // MARK: Back-off

  @Test func theFirstRestartIsImmediateAndTheNextWaitsTenSeconds() throws {
    let pod = Fixture.pod()
    var backoff = CrashLoopBackoff()
    let first = Fixture.record([try Fixture.container("web", .containerExited, exit: 1, finished: 100)])
    #expect(Fixture.plan(pod, first, backoff: backoff, at: 100).start == [0])

    backoff.noteEnds(in: first, now: Fixture.moment(100))
    backoff.noteRestart(of: pod.spec.containers[0], now: Fixture.moment(100).instant)
    let second = Fixture.record([try Fixture.container("web", .containerExited, exit: 1, number: 1, finished: 103)])
    backoff.noteEnds(in: second, now: Fixture.moment(104))
    let held = Fixture.plan(pod, second, backoff: backoff, at: 104)
    #expect(held.isEmpty)
    #expect(held.wakeAt == Fixture.moment(113).instant)
    #expect(held.heldBack["web"]?.reason == "CrashLoopBackOff")
    #expect(held.heldBack["web"]?.message == "back-off 10s restarting failed container=web pod=shop_default(u1)")
    #expect(Fixture.plan(pod, second, backoff: backoff, at: 113).start == [0])
  }

  private static let web = Container(name: "web", image: "busybox")

  /// The container's nth instance, ended so many seconds after the start.
  private static func ended(_ number: Int, at seconds: Int64) throws -> PodRecord {
    Fixture.record([try Fixture.container("web", .containerExited, exit: 1, number: number, finished: seconds)])
  }

  @Test func theBackOffDoublesToItsCapAndIsForgotten() throws {
    let container = Self.web
    var backoff = CrashLoopBackoff()
    var now: Int64 = 0
    var delays: [Int64] = []
    for number in 0..<7 {
      backoff.noteEnds(in: try Self.ended(2 * number, at: now), now: Fixture.moment(now))
      backoff.noteRestart(of: container, now: Fixture.moment(now).instant)
      backoff.noteEnds(in: try Self.ended(2 * number + 1, at: now), now: Fixture.moment(now))
      guard let wait = backoff.wait(for: container, now: Fixture.moment(now).instant) else { break }
      delays.append(wait.delay.components.seconds)
      now += wait.delay.components.seconds
      #expect(wait.until == Fixture.moment(now).instant)
    }
    #expect(delays == [10, 20, 40, 80, 160, 300, 300])
    var changed = container
    changed.image = "busybox:2"
    #expect(backoff.wait(for: changed, now: Fixture.moment(now).instant) == nil)
    backoff.noteEnds(in: try Self.ended(20, at: now + 601), now: Fixture.moment(now + 601))
    #expect(backoff.wait(for: container, now: Fixture.moment(now + 601).instant) == nil)
  }

  @Test func aLowerCapHolds() throws {
    var backoff = CrashLoopBackoff(cap: .seconds(15))
    backoff.noteRestart(of: Self.web, now: Fixture.instant)
    backoff.noteRestart(of: Self.web, now: Fixture.instant)
    backoff.noteEnds(in: try Self.ended(1, at: 0), now: Fixture.moment(0))
    #expect(backoff.wait(for: Self.web, now: Fixture.instant)?.delay == .seconds(15))
  }

  @Test(arguments: [-86_400, -600, 600, 86_400] as [Int64])
  func aClockThatIsSetNeitherLengthensNorSkipsTheWait(offset: Int64) throws {
    var backoff = CrashLoopBackoff()
    backoff.noteEnds(in: try Self.ended(0, at: 0), now: Fixture.moment(0))
    backoff.noteRestart(of: Self.web, now: Fixture.instant)
    let second = try Self.ended(1, at: 3)
    backoff.noteEnds(in: second, now: Fixture.moment(4))
    backoff.noteEnds(in: second, now: Fixture.moment(5, clockSetBy: offset))
    #expect(backoff.wait(for: Self.web, now: Fixture.moment(12).instant)?.until == Fixture.moment(13).instant)
    #expect(backoff.wait(for: Self.web, now: Fixture.moment(13).instant) == nil)
    backoff.noteRestart(of: Self.web, now: Fixture.moment(13).instant)
    // An end in the future by a clock that is slow: it was just now.
    backoff.noteEnds(in: try Self.ended(2, at: 1000), now: Fixture.moment(20))
    #expect(backoff.wait(for: Self.web, now: Fixture.moment(20).instant)?.until == Fixture.moment(40).instant)
  }
}
