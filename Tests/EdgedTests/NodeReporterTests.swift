import Core
import KubernetesAPI
import Testing
import YAML

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct NodeReporterTests {
  // MARK: Registration

  @Test func registersThenReports() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["insert node"])
    #expect(bench.cloud.log(of: "nodepatch") == ["patch nodepatch"])
    #expect(bench.cloud.log.first == "insert node")
    let node: Node = try #require(try bench.cloud.contents("insert node").first?.decode())
    #expect(node.metadata.labels?["node-role.kubernetes.io/edge"] == "")
    #expect(node.status?.daemonEndpoints?.kubeletEndpoint?.port == 10350)
    #expect(node.status?.nodeInfo?.containerRuntimeVersion == "containerd://1.7.2")
    #expect(node.status?.features?.supplementalGroupsPolicy == true)
    #expect(node.status?.condition("Ready")?.status == "True")
    let patch = try #require(bench.cloud.contents("patch nodepatch").first)
    #expect(patch["status"]?["daemonEndpoints"] == nil)
    #expect(patch["status"]?["conditions"]?.array?.count == 4)
    #expect(bench.events.first?.hasPrefix("Normal Starting: ") == true)
    #expect(bench.events.contains("Normal NodeReady: Node edge-1 status is now: NodeReady"))
    await bench.end()
  }

  private func existing(_ change: (inout Node) -> Void) throws -> JSONValue {
    var node = NodeObject.registration(
      name: "edge-1", configuration: EdgedConfiguration(), architecture: NodeFixtures.system.architecture,
      status: NodeStatusBuilder(name: "edge-1", agentVersion: "1.1.0", maximumImages: 0).status(
        of: NodeFixtures.observation, previous: nil, now: Timestamp(seconds: 1_600_000_000)))
    node.metadata.uid = "old"
    node.status?.daemonEndpoints?.kubeletEndpoint?.port = 10351
    change(&node)
    return try JSONValue(encoding: node)
  }

  @Test func bringsAnExistingNodeUpToDate() async throws {
    let node = try existing { node in
      node.metadata.labels?["kubernetes.io/arch"] = "amd64"
      node.metadata.labels?["site"] = "north"
      node.metadata.annotations = ["cloudcore": "192.0.2.2"]
      node.status?.nodeInfo?.bootID = "before"
      node.status?.images = [ContainerImage(names: ["gone"], sizeBytes: 1)]
    }
    let bench = try NodeReporterBench(node: node) { $0.nodeLabels = ["site": "south"] }
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["insert node", "query node", "update node"])
    let updated: Node = try #require(try bench.cloud.contents("update node").first?.decode())
    #expect(updated.metadata.labels?["kubernetes.io/arch"] == "arm64")
    #expect(updated.metadata.labels?["site"] == "north")
    #expect(updated.metadata.annotations?["cloudcore"] == "192.0.2.2")
    #expect(updated.metadata.annotations?["volumes.kubernetes.io/controller-managed-attach-detach"] == "true")
    let now: Node = try #require(try bench.cloud.state.withLock { $0.node }?.decode())
    #expect(now.status?.nodeInfo?.bootID == "43d72035")
    #expect(now.status?.nodeInfo?.kubeletVersion == "v1.32.10-kubeedge-v1.2.0")
    #expect(now.status?.daemonEndpoints?.kubeletEndpoint?.port == 10351)
    #expect(now.status?.images == nil)
    #expect(now.status?.condition("Ready")?.lastTransitionTime == Timestamp(seconds: 1_600_000_000))
    #expect(bench.events.contains("Warning Rebooted: Node edge-1 has been rebooted, boot id: 43d72035"))
    await bench.end()
  }

  @Test func leavesAnExistingNodesLabelsAloneIfNoneIsMissing() async throws {
    let bench = try NodeReporterBench(node: try existing { _ in })
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["insert node", "query node"])
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    #expect(!bench.events.contains { $0.contains("Rebooted") })
    await bench.end()
  }

  @Test func labelsThatCannotBeSetKeepNothingBack() async throws {
    let bench = try NodeReporterBench(isOnline: false, node: try existing { $0.metadata.labels = nil })
    await bench.clock.sleepers(1)
    bench.cloud.fail("update node", with: .refused)
    try await bench.cloud.connect()
    await bench.settle()
    #expect(bench.cloud.log(of: "node").suffix(2) == ["query node", "update node"])
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    await bench.end()
  }

  @Test func triesAgainAfterGrowingTimes() async throws {
    let node = try existing { _ in }
    let bench = try NodeReporterBench(isOnline: false, node: node)
    await bench.clock.sleepers(1)
    bench.cloud.fail("insert node", with: .refused, .timeout)
    try await bench.cloud.connect()
    await bench.waitUntil { bench.cloud.log(of: "node").count == 2 }
    await bench.clock.sleepers(1)
    bench.clock.advance(by: .milliseconds(99))
    await bench.clock.sleepers(1)
    #expect(bench.cloud.log(of: "node").count == 2)
    bench.clock.advance(by: .milliseconds(1))
    await bench.clock.sleepers(1)
    #expect(bench.cloud.log(of: "node").count == 3)
    bench.clock.advance(by: .milliseconds(200))
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == Array(repeating: "insert node", count: 4) + ["query node"])
    await bench.end()
  }

  @Test func anOfflineStartWaitsForTheConnection() async throws {
    let bench = try NodeReporterBench(isOnline: false)
    await bench.clock.sleepers(1)
    #expect(bench.cloud.log == ["insert node"])
    // Nobody has said that there's no connection: it may have come before the reporter listened.
    bench.clock.advance(by: .milliseconds(100))
    await bench.clock.sleepers(1)
    #expect(bench.cloud.log == ["insert node", "insert node"])
    try await bench.cloud.disconnect()
    await bench.clock.sleepers(0)
    bench.clock.advance(by: .seconds(3600))
    #expect(bench.cloud.log.count == 2)
    try await bench.cloud.connect()
    await bench.settle()
    #expect(bench.cloud.log(of: "node").count == 3)
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    #expect(bench.cloud.log(of: "lease") == ["query lease", "insert lease"])
    await bench.end()
  }

  @Test func withoutRegistrationItSpeaksForANodeThatIsThere() async throws {
    let bench = try NodeReporterBench(node: try existing { _ in }) { $0.tailoredKubeletConfig.registerNode = false }
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["query node"])
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    await bench.end()
  }

  @Test func registersAgainWhenTheCloudDeletesTheNode() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    try await bench.cloud.deleteNode()
    await bench.waitUntil { bench.cloud.contents("update lease").count == 1 && bench.cloud.log(of: "nodepatch").count == 2 }
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["insert node", "insert node"])
    let lease: Lease = try #require(try bench.cloud.contents("update lease").last?.decode())
    #expect(lease.metadata.ownerReferences?.map(\.uid) == ["node-2"])
    // News of the first one's end that come late.
    try await bench.cloud.tellDeletion(uid: "node-1")
    await bench.advance()
    await bench.advance()
    #expect(bench.cloud.log(of: "node").count == 2)
    await bench.end()
  }

  @Test func registersAgainWhenTheStatusHasNoNode() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.cloud.state.withLock { $0.node = nil }
    bench.engine { $0.hasNetwork = false }
    await bench.advance()
    await bench.waitUntil { bench.cloud.log(of: "nodepatch").count == 3 }
    await bench.settle()
    #expect(bench.cloud.log(of: "node") == ["insert node", "insert node"])
    #expect(try bench.condition("Ready") == "False KubeletNotReady")
    await bench.end()
  }

  // MARK: Status

  @Test func anUnchangedStatusIsNotSentAgain() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    for _ in 0..<3 { await bench.advance() }
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    #expect(bench.calls("status") == 5)
    #expect(bench.calls("version") == 2)
    #expect(bench.calls("images") == 0)
    bench.engine { $0.hasNetwork = false }
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 2)
    let status: NodeStatus = try #require(try bench.cloud.state.withLock { $0.node }?["status"]?.decode())
    let ready = try #require(status.condition("Ready"))
    #expect(
      ready.message == "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no CNI")
    #expect(ready.lastTransitionTime == bench.clock.wall)
    #expect(status.condition("DiskPressure")?.lastTransitionTime == ProbeTestClock.wallStart)
    #expect(bench.events.last == "Normal NodeNotReady: Node edge-1 status is now: NodeNotReady")
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 2)
    await bench.end()
  }

  @Test func reportsAfterTheLongestSilence() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    for _ in 0..<29 { await bench.advance() }
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 2)
    let status: NodeStatus = try #require(try bench.cloud.state.withLock { $0.node }?["status"]?.decode())
    #expect(status.condition("Ready")?.lastHeartbeatTime == bench.clock.wall)
    #expect(status.condition("Ready")?.lastTransitionTime == ProbeTestClock.wallStart)
    await bench.end()
  }

  @Test func answersWhatTheCloudThinksOfASilentNode() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    await bench.cloud.changeNode { node in
      let unknown = NodeCondition(
        type: "Ready", status: false, reason: "NodeStatusUnknown", message: "Kubelet stopped posting node status.")
      var condition = (try? JSONValue(encoding: unknown)) ?? .null
      condition["status"] = .string("Unknown")
      node["status"]?["conditions"] = .array([condition])
      node["spec"]?["unschedulable"] = .bool(true)
    }
    await bench.waitUntil { await bench.reporter.known?.conditions?.count == 1 }
    #expect(bench.events.last == "Normal NodeNotSchedulable: Node edge-1 status is now: NodeNotSchedulable")
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 2)
    #expect(try bench.condition("Ready") == "True EdgeReady")
    #expect(try bench.condition("MemoryPressure") == "False KubeletHasSufficientMemory")
    await bench.end()
  }

  @Test func triesFiveTimesThenAtTheNextComputation() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.cloud.fail("patch nodepatch", with: .refused, .timeout, .refused, .refused, .refused)
    bench.engine { $0.hasNetwork = false }
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 6)
    #expect(try bench.condition("Ready") == "True EdgeReady")
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 7)
    #expect(try bench.condition("Ready") == "False KubeletNotReady")
    await bench.end()
  }

  @Test func aReconnectIsAnsweredAtOnce() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    try await bench.cloud.disconnect()
    await bench.clock.sleepers(0)
    let before = bench.cloud.log.count
    bench.clock.advance(by: .seconds(600))
    #expect(bench.cloud.log.count == before)
    try await bench.cloud.connect()
    await bench.settle()
    #expect(bench.cloud.log(of: "nodepatch").count == 2)
    #expect(bench.cloud.log(of: "lease") == ["query lease", "insert lease", "update lease"])
    #expect(bench.cloud.log(of: "node") == ["insert node"])
    await bench.end()
  }

  @Test func anEngineThatStartsAgainIsNotDown() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.engine { $0.isUp = false }
    await bench.advance()
    await bench.advance()
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    await bench.advance()
    #expect(try bench.condition("Ready") == "False KubeletNotReady")
    bench.engine { $0.isUp = true }
    let versions = bench.calls("version")
    await bench.advance()
    #expect(try bench.condition("Ready") == "True EdgeReady")
    #expect(bench.calls("version") == versions + 1)
    await bench.end()
  }

  @Test func imagesAreListedOnceAMinute() async throws {
    let bench = try NodeReporterBench { $0.tailoredKubeletConfig.nodeStatusMaxImages = 5 }
    await bench.settle()
    for _ in 0..<5 { await bench.advance() }
    #expect(bench.calls("images") == 1)
    await bench.advance()
    #expect(bench.calls("images") == 2)
    #expect(bench.cloud.log(of: "nodepatch").count == 1)
    let node: Node = try #require(try bench.cloud.contents("insert node").first?.decode())
    #expect(node.status?.images == [ContainerImage(names: ["registry/app:1"], sizeBytes: 7)])
    await bench.end()
  }
}

@Suite(.timeLimit(.minutes(1))) struct NodeLeaseTests {
  @Test func isCreatedAndRenewed() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    #expect(bench.cloud.log(of: "lease") == ["query lease", "insert lease"])
    let created = try #require(bench.cloud.contents("insert lease").first)
    #expect(
      created.jsonText()
        == #"{"metadata":{"name":"edge-1","namespace":"kube-node-lease","ownerReferences":[{"apiVersion":"v1","kind":"Node","#
        + #""name":"edge-1","uid":"node-1"}]},"spec":{"holderIdentity":"edge-1","leaseDurationSeconds":40,"#
        + #""renewTime":"2023-11-14T22:13:20.000000Z"}}"#)
    await bench.advance()
    await bench.advance()
    #expect(bench.cloud.log(of: "lease") == ["query lease", "insert lease", "update lease", "update lease"])
    let renewals: [Lease] = try bench.cloud.contents("update lease").map { try $0.decode() }
    #expect(renewals.map { $0.spec?.renewTime?.description } == ["2023-11-14T22:13:30.000000Z", "2023-11-14T22:13:40.000000Z"])
    // Each renews what the cloud answered last.
    let versions = renewals.compactMap { $0.metadata.resourceVersion.flatMap { Int($0) } }
    #expect(versions.count == 2 && versions[0] < versions[1])
    await bench.end()
  }

  @Test func aConflictIsAskedAbout() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.cloud.state.withLock { $0.lease?["metadata"]?["labels"] = .object([.init("kept", .string("yes"))]) }
    bench.cloud.fail("update lease", with: .conflict)
    await bench.advance()
    #expect(bench.cloud.log(of: "lease").suffix(3) == ["update lease", "query lease", "update lease"])
    let lease: Lease = try #require(try bench.cloud.contents("update lease").last?.decode())
    #expect(lease.metadata.labels == ["kept": "yes"])
    await bench.end()
  }

  @Test func oneThatIsGoneIsCreated() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.cloud.state.withLock { $0.lease = nil }
    await bench.advance()
    #expect(bench.cloud.log(of: "lease").suffix(2) == ["update lease", "insert lease"])
    await bench.end()
  }

  @Test func fiveTriesThenAtTheNextTime() async throws {
    let bench = try NodeReporterBench()
    await bench.settle()
    bench.cloud.fail("update lease", with: .refused, .refused, .timeout, .refused, .refused)
    await bench.advance()
    #expect(bench.cloud.log(of: "lease").count == 7)
    await bench.advance()
    #expect(bench.cloud.log(of: "lease").count == 8)
    #expect(bench.cloud.log(of: "lease").last == "update lease")
    await bench.end()
  }

  @Test func anExistingOneIsTakenOver() async throws {
    let bench = try NodeReporterBench(isOnline: false)
    await bench.clock.sleepers(1)
    let old = try JSONValue(
      json: Array(
        #"""
        {"metadata":{"name":"edge-1","uid":"l","resourceVersion":"7","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"edge-1",
        "uid":"earlier"}]},"spec":{"holderIdentity":"edge-1","leaseDurationSeconds":20,"future":true}}
        """#.utf8))
    bench.cloud.state.withLock { $0.lease = old }
    try await bench.cloud.connect()
    await bench.settle()
    #expect(bench.cloud.log(of: "lease") == ["query lease", "update lease"])
    let update = try #require(bench.cloud.contents("update lease").first)
    #expect(update["spec"]?["future"] == .bool(true))
    #expect(update["spec"]?["leaseDurationSeconds"]?.int == 40)
    #expect(update["metadata"]?["ownerReferences"]?.array?.compactMap { $0["uid"]?.string } == ["node-1"])
    await bench.end()
  }
}
