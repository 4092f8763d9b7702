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

    let start = Fixture.start
    backoff.noteRestart(of: pod.spec.containers[0], lastFinished: start + .seconds(100), now: start + .seconds(100))
    let second = Fixture.record([try Fixture.container("web", .containerExited, exit: 1, number: 1, finished: 103)])
    let held = Fixture.plan(pod, second, backoff: backoff, at: 104)
    #expect(held.isEmpty)
    #expect(held.wakeAt == start + .seconds(113))
    #expect(held.heldBack["web"]?.reason == "CrashLoopBackOff")
    #expect(held.heldBack["web"]?.message == "back-off 10s restarting failed container=web pod=shop_default(u1)")
    #expect(Fixture.plan(pod, second, backoff: backoff, at: 113).start == [0])
  }

  @Test func theBackOffDoublesToItsCapAndIsForgotten() {
    let container = Container(name: "web", image: "busybox")
    var backoff = CrashLoopBackoff()
    var now = Fixture.start
    var delays: [Int64] = []
    for _ in 0..<7 {
      backoff.noteRestart(of: container, lastFinished: now, now: now)
      guard let wait = backoff.wait(for: container, lastFinished: now, now: now) else { break }
      delays.append(wait.delay.components.seconds)
      now = wait.until
    }
    #expect(delays == [10, 20, 40, 80, 160, 300, 300])
    let later = now + .seconds(601)
    #expect(backoff.wait(for: container, lastFinished: later, now: later) == nil)
    var changed = container
    changed.image = "busybox:2"
    #expect(backoff.wait(for: changed, lastFinished: now, now: now) == nil)
  }

  @Test func aLowerCapHolds() {
    let container = Container(name: "web", image: "busybox")
    var backoff = CrashLoopBackoff(cap: .seconds(15))
    backoff.noteRestart(of: container, lastFinished: Fixture.start, now: Fixture.start)
    backoff.noteRestart(of: container, lastFinished: Fixture.start, now: Fixture.start)
    #expect(backoff.wait(for: container, lastFinished: Fixture.start, now: Fixture.start)?.delay == .seconds(15))
  }
}
