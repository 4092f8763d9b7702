import KubernetesAPI
import Runtime
import Testing

@testable import Edged

@Suite struct InitContainerRulesTests {
  private let pod = Fixture.pod(initial: [Container(name: "i1", image: "busybox"), Container(name: "i2", image: "busybox")])

  @Test func eachWaitsForTheOneBefore() throws {
    let running = Fixture.plan(pod, Fixture.record([try Fixture.container("i1", .containerRunning)]))
    #expect(running.isEmpty)
    let first = Fixture.plan(pod, Fixture.record([try Fixture.container("i1", .containerExited, finished: 50)]))
    #expect(first.startInit == [1])
    #expect(first.start.isEmpty)
    let both = Fixture.plan(
      pod,
      Fixture.record([
        try Fixture.container("i1", .containerExited, finished: 50), try Fixture.container("i2", .containerExited, number: 1, finished: 60),
      ]))
    #expect(both.startInit.isEmpty)
    #expect(both.start == [0])
  }

  @Test func theLastOneKnownDecidesEvenIfTheFirstIsGone() throws {
    let plan = Fixture.plan(pod, Fixture.record([try Fixture.container("i2", .containerExited, finished: 60)]))
    #expect(plan.start == [0])
    #expect(plan.startInit.isEmpty)
  }

  @Test func noneRunsAgainOnceARegularContainerExisted() throws {
    let plan = Fixture.plan(pod, Fixture.record([try Fixture.container("web", .containerExited, exit: 1, finished: 60)]))
    #expect(plan.startInit.isEmpty)
    #expect(plan.start == [0])
  }

  @Test(arguments: [("", 1 as Int32), ("OOMKilled", 0)])
  func aFailureRestartsOrEndsThePod(reason: String, exit: Int32) throws {
    let record = Fixture.record([try Fixture.container("i1", .containerExited, exit: exit, finished: 50, reason: reason)])
    #expect(Fixture.plan(pod, record).startInit == [0])
    var never = pod
    never.spec.restartPolicy = .never
    let plan = Fixture.plan(never, record)
    #expect(plan.stopsPod)
    #expect(!plan.startsContainers)
  }

  @Test func aSidecarCountsAsDoneWhenItHasStarted() throws {
    let pod = Fixture.pod(initial: [Fixture.sidecar("proxy"), Container(name: "i2", image: "busybox")])
    let record = Fixture.record([try Fixture.container("proxy", .containerRunning)])
    #expect(Fixture.plan(pod, record).startInit == [1])
    #expect(Fixture.plan(pod, record, probes: ["proxy": ProbeVerdict(startup: .pending)]).isEmpty)
    let failed = Fixture.plan(pod, record, probes: ["proxy": ProbeVerdict(startup: .failed)])
    #expect(failed.startInit == [0])
    #expect(failed.kills.map(\.message) == ["Init container proxy failed startup probe, will be restarted"])
  }

  @Test func aSidecarAloneLetsTheRegularContainersStart() throws {
    let pod = Fixture.pod(initial: [Fixture.sidecar("proxy")])
    let plan = Fixture.plan(pod, Fixture.record([try Fixture.container("proxy", .containerRunning)]))
    #expect(plan.start == [0])
  }

  @Test func aSidecarThatEndedStartsAgainBesideTheRegularContainers() throws {
    let pod = Fixture.pod(initial: [Fixture.sidecar("proxy")], policy: .never)
    let record = Fixture.record([
      try Fixture.container("proxy", .containerExited, exit: 0, finished: 50), try Fixture.container("web", .containerRunning, number: 1),
    ])
    let plan = Fixture.plan(pod, record)
    #expect(plan.startInit == [0])
    #expect(plan.start.isEmpty)
  }

  @Test func sidecarsEndWithTheRegularContainers() throws {
    let pod = Fixture.pod(initial: [Fixture.sidecar("proxy")], policy: .never)
    let record = Fixture.record([
      try Fixture.container("proxy", .containerRunning), try Fixture.container("web", .containerExited, number: 1, finished: 60),
    ])
    let plan = Fixture.plan(pod, record)
    #expect(plan.stopsPod)
    #expect(!plan.startsContainers)
  }

  @Test func allRunAgainInANewSandbox() throws {
    let record = Fixture.record(
      [
        try Fixture.container("i1", .containerExited, finished: 50), try Fixture.container("i2", .containerExited, number: 1, finished: 60),
        try Fixture.container("web", .containerExited, exit: 137, number: 2, finished: 70),
      ], sandboxes: [Fixture.sandbox(ready: false)])
    let plan = Fixture.plan(pod, record)
    #expect(plan.newSandboxAttempt == 1)
    #expect(plan.startInit == [0])
    #expect(plan.start.isEmpty)
  }
}
