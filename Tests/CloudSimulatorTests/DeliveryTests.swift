import CloudSimulator
import Core
import Testing
import YAML

@Suite(.timeLimit(.minutes(2)))
struct DeliveryTests {
  @Test
  func withoutAcknowledgementTheSameBytesComeAgainAndOthersWait() async throws {
    try await withNode { cloud, node in
      node.acknowledges { !$0.resource.contains("/pod/") }
      let first = try cloud.apply(try pod("first"))
      // The tries are up after five, then the object comes again with the same message.
      let tries = try await node.received(5) { $0.resource == "default/pod/first" }
      #expect(Set(tries.map(\.text)).count == 1)
      #expect(tries[0].message.header.resourceVersion == first.version)
      try cloud.apply(try pod("second"))
      let before = node.received.count { $0.message.resource == "default/pod/first" }
      _ = try await node.received { $0.resource == "default/pod/second" }
      #expect(before >= 5)
      // Neither is taken as delivered.
      #expect(Set(cloud.unacknowledged.map(\.resource)).isSuperset(of: ["default/pod/first", "default/pod/second"]))
    }
  }

  @Test
  func anErrorIsNoAcknowledgement() async throws {
    try await withNode { cloud, node in
      node.acknowledges { !$0.resource.contains("/pod/") }
      try cloud.apply(try pod("web"))
      let message = try await node.received { $0.resource == "default/pod/web" }.message
      node.send(
        Message(
          header: .init(parentID: message.id),
          route: .init(source: "edged", group: "resource", operation: .error, resource: message.resource),
          content: Array("\"no\"".utf8)))
      _ = try await node.received(3) { $0.id == message.id }
      // The tries may be up by now; then it comes once more later.
      node.acknowledges { _ in true }
      node.acknowledge(message)
      try await cloud.waitUntilAcknowledged()
    }
  }

  @Test
  func theNewestVersionReplacesThoseThatWait() async throws {
    try await withNode({ $0.ackTimeout = .seconds(30) }) { cloud, node in
      node.acknowledges { !$0.resource.contains("/pod/") }
      let object = try pod("web")
      try cloud.apply(object)
      let first = try await node.received { $0.resource == "default/pod/web" }.message
      for number in 1...5 {
        var changed = object
        changed["metadata"]?["annotations"] = .object([.init("n", .string("\(number)"))])
        try cloud.apply(changed)
      }
      node.acknowledges { _ in true }
      node.acknowledge(first)
      try await cloud.waitUntilAcknowledged()
      let numbers = node.received.filter { $0.message.resource == "default/pod/web" }
        .map { $0.message.json.at("metadata", "annotations", "n")?.string ?? "0" }
      #expect(numbers.first == "0" && numbers.last == "5")
      #expect(numbers.count < 6)
    }
  }

  @Test
  func whatChangedWhileTheNodeWasAwayIsFoundByComparing() async throws {
    try await withNode { cloud, node in
      for name in ["kept", "changed", "removed"] { try cloud.apply(try pod(name)) }
      try await cloud.waitUntilAcknowledged()
      let identity = try await TestNode.join(cloud, "edge-1")
      await node.close()
      var changed = try pod("changed")
      changed["metadata"]?["labels"] = .object([.init("a", .string("b"))])
      try cloud.apply(changed)
      let removed = try #require(cloud.get("pod", name: "removed"))
      try cloud.delete("pod", name: "removed", gracePeriod: 0)
      try cloud.apply(try pod("new"))

      let again = try await TestNode.connect(cloud, "edge-1", identity)
      let gone = try await again.received { $0.resource == "default/pod/removed" }.message
      #expect(gone.operation == .delete)
      #expect(gone.header.resourceVersion.isEmpty)
      #expect(
        gone.json
          == (try JSONValue(json: #"{"metadata":{"name":"removed","namespace":"default","uid":"\#(removed.uid)"}}"#)))
      #expect(try await again.received { $0.resource == "default/pod/changed" }.message.operation == .update)
      // Also what the node never had comes as an update.
      #expect(try await again.received { $0.resource == "default/pod/new" }.message.operation == .update)
      try await cloud.waitUntilAcknowledged()
      #expect(!again.received.contains { $0.message.resource == "default/pod/kept" })
      await again.close()
    }
  }

  @Test
  func mapsAndSecretsGoWhereTheyAreReferredTo() async throws {
    try await withNode { cloud, node in
      try cloud.apply(try configMap("unused", "1"))
      try cloud.apply(try configMap("used", "1"))
      try cloud.apply(
        try pod("web", spec: #""volumes":[{"name":"v","configMap":{"name":"used"}},{"name":"s","secret":{"secretName":"late"}}],"#))
      _ = try await node.received { $0.resource == "default/pod/web" }
      try cloud.apply(try configMap("unused", "2"))
      try cloud.apply(try configMap("used", "2"))
      try cloud.apply(
        try JSONValue(json: #"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"late"},"stringData":{"a":"b"}}"#))
      let map = try await node.received { $0.resource == "default/configmap/used" }.message
      #expect(map.operation == .update && map.json.at("data", "key") == .string("2"))
      let secret = try await node.received { $0.resource == "default/secret/late" }.message
      // New secrets come as updates.
      #expect(secret.operation == .update && secret.json.at("data", "a") == .string("Yg=="))
      #expect(!node.received.contains { $0.message.resource == "default/configmap/unused" })

      // Who asked for an object gets its changes by comparing.
      _ = try await node.request(.query, "default/configmap/unused")
      try await cloud.waitUntilAcknowledged()
      try cloud.apply(try configMap("unused", "3"))
      let later = try await node.received { $0.resource == "default/configmap/unused" && $0.parentID.isEmpty }.message
      #expect(later.operation == .update && later.json.at("data", "key") == .string("3"))
    }
  }

  @Test
  func pushedMessagesDoNotWaitForEachOther() async throws {
    try await withNode { cloud, node in
      node.acknowledges { _ in false }
      let updates = try (1...100).map { number in
        try JSONValue(
          json:
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m\#(number)","namespace":"default","uid":"u\#(number)","resourceVersion":"\#(number)"}}"#
        )
      }
      try cloud.push(updates, to: "edge-1")
      let got = try await node.received(100) { $0.resource.hasPrefix("default/configmap/m") }
      #expect(cloud.acknowledgedPushes(of: "edge-1") == 0)
      for item in got { node.acknowledge(item.message) }
      _ = try await node.request(.query, "default/configmap/none")
      #expect(cloud.acknowledgedPushes(of: "edge-1") == 100)
    }
  }

  @Test
  func deletingANodeEndsItsConnection() async throws {
    try await withNode { cloud, node in
      try cloud.delete("node", name: "edge-1")
      await node.waitUntilClosed()
      #expect(cloud.unacknowledged.isEmpty)
    }
  }

  @Test
  func podsWaitForTheirNode() async throws {
    try await withCloud { cloud async throws -> Void in
      #expect(try cloud.apply(try pod("early")).at("spec", "nodeName") == nil)
      let node = try await TestNode.connect(cloud, "edge-1", try await TestNode.join(cloud, "edge-1"))
      try await register(node)
      let message = try await node.received { $0.resource == "default/pod/early" }.message
      #expect(message.operation == .update)
      #expect(message.json.at("spec", "nodeName") == .string("edge-1"))
      let conditions = message.json.at("status", "conditions")?.array ?? []
      #expect(conditions.contains { $0["type"] == .string("PodScheduled") && $0["status"] == .string("True") })
      // A pod that names its node comes as new.
      try cloud.apply(try pod("bound", spec: #""nodeName":"edge-1","#))
      #expect(try await node.received { $0.resource == "default/pod/bound" }.message.operation == .insert)
      await node.close()
    }
  }
}
