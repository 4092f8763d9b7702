import KubernetesAPI
import Runtime
import Testing

@testable import Edged

@Suite struct PodStatusBuilderTests {
  private func status(
    _ pod: Pod, _ record: PodRecord, previous: PodStatus = PodStatus(), waiting: [String: ContainerStateWaiting] = [:],
    probes: [String: PodStatusBuilder.ContainerProbeState] = [:], isEnding: Bool = false, messages: [String: String] = [:],
    at seconds: Int64 = 100
  ) -> PodStatus {
    PodStatusBuilder(
      pod: pod, node: NodeFacts(name: "edge", hostIPs: ["192.0.2.1"], capacity: [:], allocatable: [:]), qosClass: .bestEffort,
      scheme: "containerd", record: record, previous: previous, waiting: waiting, probes: probes, terminationMessages: messages,
      isEnding: isEnding, isStopped: isEnding && !record.isAlive, now: Fixture.start + .seconds(seconds)
    ).build()
  }

  @Test func aNewPodIsPendingAndItsContainersAreBeingCreated() {
    let status = status(Fixture.pod(), Fixture.record([], sandboxes: []))
    #expect(status.phase == .pending)
    #expect(status.containerStatuses?[0].state?.waiting?.reason == "ContainerCreating")
    #expect(status.hostIP == "192.0.2.1")
    #expect(
      status.conditions?.map { "\($0.type)=\($0.status)" } == [
        "PodReadyToStartContainers=False", "Initialized=True", "Ready=False", "ContainersReady=False", "PodScheduled=True",
      ])
    let ready = status.conditions?.first { $0.type == "Ready" }
    #expect(ready?.reason == "ContainersNotReady")
    #expect(ready?.message == "containers with unready status: [web]")
  }

  @Test func aPodWithInitContainersIsInitialising() {
    let pod = Fixture.pod(initial: [Container(name: "i1", image: "busybox")])
    let status = status(pod, Fixture.record([], sandboxes: []))
    #expect(status.containerStatuses?[0].state?.waiting?.reason == "PodInitializing")
    let condition = status.conditions?.first { $0.type == "Initialized" }
    #expect(condition?.reason == "ContainersNotInitialized")
    #expect(condition?.message == "containers with incomplete status: [i1]")
  }

  @Test func aRunningPodIsReady() throws {
    let status = status(Fixture.pod(), Fixture.record([try Fixture.container("web", .containerRunning, number: 2)]))
    #expect(status.phase == .running)
    #expect(status.podIP == "10.0.0.2")
    let container = try #require(status.containerStatuses?.first)
    #expect(container.ready)
    #expect(container.started == true)
    #expect(container.restartCount == 2)
    #expect(container.containerID == "containerd://web-2")
    #expect(status.conditions?.first { $0.type == "Ready" }?.status == "True")
  }

  @Test func probesDecideReadiness() throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning)])
    let notStarted = status(Fixture.pod(), record, probes: ["web": .init(ready: true, started: false)])
    #expect(notStarted.containerStatuses?[0].ready == false)
    let notReady = status(Fixture.pod(), record, probes: ["web": .init(ready: false, started: true)])
    #expect(notReady.containerStatuses?[0].ready == false)
    #expect(notReady.phase == .running)
  }

  @Test(arguments: [
    (RestartPolicy.always, 0 as Int32, PodPhase.running), (.always, 3, .running), (.onFailure, 0, .succeeded),
    (.onFailure, 3, .running), (.never, 0, .succeeded), (.never, 3, .failed),
  ])
  func thePhaseAfterTheLastContainerEnded(policy: RestartPolicy, exit: Int32, phase: PodPhase) throws {
    let record = Fixture.record([try Fixture.container("web", .containerExited, exit: exit, finished: 50)])
    #expect(status(Fixture.pod(policy: policy), record).phase == phase)
  }

  @Test func anInitFailureFailsAPodThatNeverRestarts() throws {
    var pod = Fixture.pod(initial: [Container(name: "i1", image: "busybox")], policy: .never)
    let record = Fixture.record([try Fixture.container("i1", .containerExited, exit: 1, finished: 50)])
    #expect(status(pod, record).phase == .failed)
    pod.spec.restartPolicy = .always
    #expect(status(pod, record).phase == .pending)
  }

  @Test func crashLoopShowsTheLastEndAndTheWait() throws {
    let record = Fixture.record([try Fixture.container("web", .containerExited, exit: 1, number: 3, finished: 50)])
    let status = status(
      Fixture.pod(), record, waiting: ["web": ContainerStateWaiting(reason: "CrashLoopBackOff", message: "back-off 40s")],
      messages: ["web-3": "out of luck"])
    let container = try #require(status.containerStatuses?.first)
    #expect(container.state?.waiting?.reason == "CrashLoopBackOff")
    #expect(container.lastState?.terminated?.exitCode == 1)
    #expect(container.lastState?.terminated?.message == "out of luck")
    #expect(status.phase == .running)
  }

  @Test func aTerminalPhaseIsNeverLeft() throws {
    var before = PodStatus()
    before.phase = .failed
    before.reason = "Evicted"
    let status = status(Fixture.pod(), Fixture.record([try Fixture.container("web", .containerRunning)]), previous: before)
    #expect(status.phase == .failed)
    #expect(status.reason == "Evicted")
  }

  @Test func aContainerThatVanishedWhileThePodEndsIsUnknown() throws {
    let before = status(Fixture.pod(), Fixture.record([try Fixture.container("web", .containerRunning)]))
    let after = status(Fixture.pod(), Fixture.record([], sandboxes: []), previous: before, isEnding: true)
    let ended = after.containerStatuses?.first?.state?.terminated
    #expect(ended?.reason == "ContainerStatusUnknown")
    #expect(ended?.exitCode == 137)
    #expect(after.phase == .failed)
  }

  @Test func transitionTimesMoveOnlyWithTheirStatus() throws {
    let record = Fixture.record([try Fixture.container("web", .containerRunning)])
    let first = status(Fixture.pod(), record)
    let second = status(Fixture.pod(), record, previous: first, at: 200)
    #expect(first == second)
    let broken = status(Fixture.pod(), record, previous: second, probes: ["web": .init(ready: false, started: true)], at: 300)
    let times = broken.conditions?.map { ($0.lastTransitionTime ?? Fixture.start) - Fixture.start }
    #expect(times == [.seconds(100), .seconds(100), .seconds(300), .seconds(300), .seconds(100)])
  }

  @Test func conditionsOfOthersAndReadinessGatesCount() throws {
    var pod = Fixture.pod()
    pod.spec.readinessGates = [PodReadinessGate(conditionType: "example.com/lb")]
    let record = Fixture.record([try Fixture.container("web", .containerRunning)])
    let missing = status(pod, record).conditions?.first { $0.type == "Ready" }
    #expect(missing?.reason == "ReadinessGatesNotReady")
    #expect(missing?.message == "corresponding condition of pod readiness gate \"example.com/lb\" does not exist.")
    var before = PodStatus()
    before.conditions = [PodCondition(type: "example.com/lb", status: true)]
    let present = status(pod, record, previous: before)
    #expect(present.conditions?.first { $0.type == "Ready" }?.status == "True")
    #expect(present.conditions?.last?.type == "example.com/lb")
  }
}
