import Curl
import KubernetesAPI
import Logging
import Synchronization
import Testing

@testable import Edged

struct PreemptionTests {
  private typealias Fixture = AdmissionFixture

  /// Names of those who go for a static pod that lacks that much CPU (in thousandths); nil if nothing helps.
  private func victims(_ missing: Int64, _ pods: [Pod]) throws -> [String]? {
    let critical = try Fixture.pod("critical", cpu: "1", isStatic: true)
    let shortfall = ResourceShortfall(resource: "cpu", requested: missing, used: 0, capacity: 0)
    return Preemption.victims(for: critical, [shortfall], among: pods)?.map(\.name).sorted()
  }

  @Test func takesTheOneThatIsEnoughAndSmallest() throws {
    let pods = try [
      Fixture.pod("one", cpu: "1"), Fixture.pod("two", cpu: "2"), Fixture.pod("three", cpu: "3"), Fixture.pod("half", cpu: "500m"),
    ]
    #expect(try victims(400, pods) == ["half"])
    #expect(try victims(2000, pods) == ["two"])
    #expect(try victims(2500, pods) == ["three"])
    #expect(try victims(4000, pods) == ["one", "three"])
    #expect(try victims(6500, pods) == ["half", "one", "three", "two"])
    #expect(try victims(6501, pods) == nil)
  }

  @Test func thoseWithLessOfAClaimGoFirst() throws {
    let guaranteed = try Fixture.pod("guaranteed", cpu: "1", memory: "1Mi", limits: true)
    let burstable = try Fixture.pod("burstable", cpu: "2")
    #expect(try victims(1000, [guaranteed, burstable]) == ["burstable"])
    #expect(try victims(2500, [guaranteed, burstable]) == ["burstable", "guaranteed"])
    // A guaranteed pod that must go anyway may spare a burstable one.
    let large = try Fixture.pod("large", cpu: "3", memory: "1Mi", limits: true)
    #expect(try victims(2500, [large, burstable]) == ["large"])
  }

  @Test func aPlaceForAPod() throws {
    let critical = try Fixture.pod("critical", isStatic: true)
    let shortfall = ResourceShortfall(resource: "pods", requested: 1, used: 3, capacity: 3)
    let pods = try [Fixture.pod("burstable", cpu: "1"), Fixture.pod("idle"), Fixture.pod("critical-too", isStatic: true)]
    #expect(Preemption.victims(for: critical, [shortfall], among: pods)?.map(\.name) == ["idle"])
  }

  @Test func severalResourcesTogether() throws {
    let critical = try Fixture.pod("critical", isStatic: true)
    let shortfalls = [
      ResourceShortfall(resource: "cpu", requested: 1000, used: 0, capacity: 0),
      ResourceShortfall(resource: "memory", requested: 1 << 20, used: 0, capacity: 0),
    ]
    let (cpu, memory) = (try Fixture.pod("cpu", cpu: "4"), try Fixture.pod("memory", cpu: "0", memory: "1Gi"))
    let both = try Fixture.pod("both", cpu: "1", memory: "1Mi")
    #expect(Preemption.victims(for: critical, shortfalls, among: [cpu, memory, both])?.map(\.name) == ["both"])
    #expect(Preemption.victims(for: critical, shortfalls, among: [cpu, memory])?.map(\.name).sorted() == ["cpu", "memory"])
    #expect(Preemption.victims(for: critical, shortfalls, among: [cpu]) == nil)
  }

  @Test(arguments: [
    // Priority of the other, whether it is static; priority of the critical pod.
    (Int32?.none, false, Int32?.none, true), (1_999_999_999, false, 2_000_000_000, true), (2_000_000_000, false, 2_000_000_000, false),
    (2_000_000_000, false, 2_000_001_000, true), (2_000_001_000, false, 2_000_000_000, false), (nil, true, nil, false),
    (nil, true, 2_000_001_000, false), (5, true, 2_000_001_000, true),
  ])
  func who(priority: Int32?, isStatic: Bool, critical: Int32?, goes: Bool) throws {
    let other = try Fixture.pod("other", cpu: "1", priority: priority, isStatic: isStatic)
    let pod = try Fixture.pod("critical", cpu: "1", priority: critical, isStatic: critical == nil)
    #expect(Preemption.canGo(other, for: pod) == goes)
  }
}

/// Capacity is 3 CPUs and 3 pods.
struct AdmissionBookTests {
  private typealias Fixture = AdmissionFixture

  @Test func ordinaryPodsFailForGood() throws {
    var book = AdmissionBook()
    let admission = try Fixture.admission()
    let active = [try Fixture.pod("a", cpu: "2")]
    #expect(book.decide(try Fixture.pod("b", cpu: "1"), mayWait: false, beside: active, admission) == .admitted)
    let decision = book.decide(try Fixture.pod("b", cpu: "2"), mayWait: false, beside: active, admission)
    #expect(
      decision
        == .refused(
          AdmissionRejection(
            reason: "OutOfcpu", message: "Node didn't have enough resource: cpu, requested: 2000, used: 2000, capacity: 3000")))
    #expect(book.isEmpty)
  }

  @Test func staticPodsAreAskedAboutAgain() throws {
    var book = AdmissionBook()
    let admission = try Fixture.admission()
    let taken = try Fixture.pod("a", "containers: [{name: a, ports: [{containerPort: 1, hostPort: 80}]}]")
    let pod = try Fixture.pod("b", "containers: [{name: a, ports: [{containerPort: 1, hostPort: 80}]}]", isStatic: true)
    guard case .heldBack(let rejection) = book.decide(pod, mayWait: true, beside: [taken], admission) else {
      Issue.record("not held back")
      return
    }
    #expect(rejection.reason == "NodePorts" && !book.isEmpty)
    #expect(book.decide(pod, mayWait: true, beside: [], admission) == .admitted)
    #expect(book.isEmpty)
  }

  @Test func aCriticalPodWaitsForItsVictims() throws {
    var book = AdmissionBook()
    let admission = try Fixture.admission()
    let (low, keeper) = (try Fixture.pod("low", cpu: "2"), try Fixture.pod("keeper", cpu: "1"))
    let critical = try Fixture.pod("critical", cpu: "1500m", priority: 2_000_000_000)
    #expect(book.decide(critical, mayWait: false, beside: [low, keeper], admission) == .waits(evicting: [low]))
    // Nobody else has to go, and nobody else gets what is kept for it.
    #expect(book.decide(critical, mayWait: false, beside: [low, keeper], admission) == .waits(evicting: []))
    guard case .refused = book.decide(try Fixture.pod("late", cpu: "1"), mayWait: false, beside: [low, keeper], admission) else {
      Issue.record("the room was given away")
      return
    }
    #expect(book.decide(try Fixture.pod("small", cpu: "500m"), mayWait: false, beside: [low, keeper], admission) == .waits(evicting: []))
    #expect(book.decide(critical, mayWait: false, beside: [keeper], admission) == .admitted)
    #expect(book.decide(try Fixture.pod("small", cpu: "500m"), mayWait: false, beside: [keeper, critical], admission) == .admitted)
    #expect(book.isEmpty)
  }

  @Test func twoCriticalPodsDontShareOneVictim() throws {
    var book = AdmissionBook()
    let admission = try Fixture.admission()
    let low = try ["low-1", "low-2", "low-3"].map { try Fixture.pod($0, cpu: "1") }
    let critical = try ["critical-1", "critical-2"].map { try Fixture.pod($0, cpu: "1", isStatic: true) }
    #expect(book.decide(critical[0], mayWait: true, beside: low, admission) == .waits(evicting: [low[0]]))
    #expect(book.decide(critical[1], mayWait: true, beside: low, admission) == .waits(evicting: [low[1]]))
    // Forgotten, it keeps nothing.
    book.forget(critical[0].uid)
    book.forget(critical[1].uid)
    #expect(book.isEmpty)
  }

  @Test func whatLeavesAnywayIsWaitedFor() throws {
    var book = AdmissionBook()
    let admission = try Fixture.admission()
    let (old, new) = (try Fixture.pod("old", cpu: "2"), try Fixture.pod("new", cpu: "2"))
    #expect(book.decide(new, mayWait: false, beside: [old], leaving: [old.uid], admission) == .waits(evicting: []))
    #expect(book.decide(new, mayWait: false, beside: [], admission) == .admitted)
  }
}

struct PodTableAdmissionTests {
  private typealias Fixture = AdmissionFixture

  /// Runs a table on an engine that starts nothing, on a node with 3 CPUs.
  private func withTable(
    _ body: (_ table: PodTable, _ statuses: StatusStore, _ events: ImageEventLog) async throws -> Void
  ) async throws {
    let test = VolumeTestDirectory()
    let http = HTTPClient()
    let logger = Logger(label: "test")
    let events = ImageEventLog()
    let operations = try objectOperations(
      PodObjectSource(client: nil, logger: logger), test, events: events, http: http, logger: logger)
    let admission = try Fixture.admission()
    let table = PodTable(operations: operations, admission: { admission }, sources: [.manifests, .cloud], logger: logger)
    let running = Task { await table.run() }
    try await body(table, operations.statuses, events)
    await table.stop()
    running.cancel()
    await running.value
    await operations.probes.shutdown()
    await http.shutdown()
  }

  /// The pod's status as soon as it is as wanted.
  private func status(
    of pod: Pod, in statuses: StatusStore, _ isWanted: (PodStatus) -> Bool
  ) async throws -> PodStatus {
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline {
      if let status = statuses.status(of: pod.uid), isWanted(status) { return status }
      try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("the status of \(pod.name) is \(statuses.status(of: pod.uid).map { "\($0)" } ?? "not there")")
    return PodStatus()
  }

  private func wish(_ pod: Pod, _ source: PodSource) -> WishedPod { WishedPod(pod: pod, raw: [], source: source) }

  @Test func aCriticalPodTakesTheRoomOfAnother() async throws {
    try await withTable { table, statuses, events in
      let (low, critical) = (try Fixture.pod("low", cpu: "2"), try Fixture.pod("critical", cpu: "2", isStatic: true))
      await table.wish(for: wish(low, .cloud))
      _ = try await status(of: low, in: statuses) { $0.phase == .pending }
      await table.wish(for: wish(critical, .manifests))
      let victim = try await status(of: low, in: statuses) { $0.phase == .failed }
      #expect(victim.reason == "Preempting" && victim.message == "Preempted in order to admit critical pod")
      let condition = victim.conditions?.first { $0.type == "DisruptionTarget" }
      #expect(condition?.status == "True" && condition?.reason == "TerminationByKubelet")
      #expect(victim.conditions?.first { $0.type == "Ready" }?.reason == "PodFailed")
      #expect(try await status(of: critical, in: statuses) { $0.startTime != nil }.phase == .pending)
      #expect(events.events.contains("Warning Preempting Preempted in order to admit critical pod"))
    }
  }

  @Test func aRefusedStaticPodComesWhenThereIsRoom() async throws {
    try await withTable { table, statuses, _ in
      let (first, second) = (try Fixture.pod("first", cpu: "2", isStatic: true), try Fixture.pod("second", cpu: "2", isStatic: true))
      await table.wish(for: [wish(first, .manifests)], from: .manifests)
      await table.wish(for: [wish(first, .manifests), wish(second, .manifests)], from: .manifests)
      let refused = try await status(of: second, in: statuses) { $0.phase == .failed }
      #expect(refused.reason == "OutOfcpu")
      #expect(
        refused.message == "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 2000, capacity: 3000")
      await table.wish(for: [wish(second, .manifests)], from: .manifests)
      let admitted = try await status(of: second, in: statuses) { $0.phase == .pending }
      #expect(admitted.reason == nil && admitted.message == nil)
    }
  }

  @Test func aPodOfAnUnknownRuntimeClassGetsNoSandbox() async throws {
    try await withTable { table, statuses, events in
      let pod = try Fixture.pod("classy", "{runtimeClassName: gvisor, containers: [{name: a}]}")
      await table.wish(for: wish(pod, .cloud))
      let told = #"Warning FailedCreatePodSandBox Failed to create pod sandbox: RuntimeClass "gvisor" not found"#
      let deadline = ContinuousClock.now + .seconds(60)
      while !events.events.contains(told), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
      #expect(events.events.contains(told), "\(events.events)")
      #expect(statuses.status(of: pod.uid)?.phase == .pending)
    }
  }

  @Test func aRefusedPodOfTheCloudHasFailed() async throws {
    try await withTable { table, statuses, _ in
      let pod = try Fixture.pod("large", cpu: "4")
      await table.wish(for: wish(pod, .cloud))
      let refused = try await status(of: pod, in: statuses) { $0.phase == .failed }
      #expect(refused.reason == "OutOfcpu" && refused.message?.hasPrefix("Pod was rejected: ") == true)
      #expect(await table.active.isEmpty)
      // One that is under way already isn't asked again.
      var known = try Fixture.pod("known", cpu: "4")
      known.status = PodStatus()
      known.status?.startTime = .now
      await table.wish(for: wish(known, .cloud))
      #expect(try await status(of: known, in: statuses) { _ in true }.phase == .pending)
    }
  }
}

struct DisruptionConditionTests {
  @Test func isTheNodesToTell() throws {
    let conditions = PodConditions.disrupted(
      [PodCondition(type: "Ready", status: true), PodCondition(type: "DisruptionTarget", status: true, reason: "EvictionByEvictionAPI")],
      message: "why", now: Timestamp(seconds: 7))
    #expect(conditions.map(\.type) == ["Ready", "DisruptionTarget"])
    #expect(conditions[1].message == "why" && conditions[1].lastTransitionTime == Timestamp(seconds: 7))
    #expect(PodConditions.disrupted(conditions, message: "again", now: Timestamp(seconds: 9)) == conditions)
    // What comes back from the cloud doesn't take it away, nor double it.
    #expect(PodConditions.merge(own: conditions, others: []) == conditions)
    #expect(PodConditions.merge(own: conditions, others: conditions) == conditions)
    var status = PodStatus()
    status.conditions = conditions
    let told = try #require(PodStatusPatch.status(in: try PodStatusPatch.bytes(status, uid: "u-1")))
    #expect(told.status.conditions?.map(\.type) == ["Ready", "DisruptionTarget"])
  }
}
