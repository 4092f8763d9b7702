import CloudSimulator
import Core
import Testing
import YAML

@Suite(.timeLimit(.minutes(2)))
struct LinkTests {
  @Test
  func messagesComeInTheFramesOfGo() async throws {
    try await withNode { cloud, node in
      func frames(_ size: Int) async throws -> [TestNode.Frame] {
        try cloud.apply(try configMap("sized-\(size)", String(repeating: "x", count: size)))
        return try await node.request(.query, "default/configmap/sized-\(size)").frames
      }
      #expect(try await frames(10).map(\.isLast) == [true])
      let pieces = try await frames(5000)
      #expect(pieces.map(\.opcode) == [.text, .continuation])
      #expect(pieces.map(\.isLast) == [false, true])
      #expect(pieces[0].length == 4082)
      let huge = try await frames(300_000)
      #expect(huge.map(\.opcode) == [.text, .continuation])
      #expect(huge.map(\.isLast) == [false, true])
      #expect(huge[0].length > 300_000 && huge[1].length == 0)
    }
  }

  @Test
  func textsAreWrittenAsGoWritesThem() async throws {
    try await withNode { cloud, node in
      try cloud.apply(try configMap("signs", "a<b>&c"))
      let text = String(decoding: try await node.request(.query, "default/configmap/signs").text, as: UTF8.self)
      #expect(text.contains(#""key":"a\u003cb\u003e\u0026c""#))
      #expect(text.hasSuffix("}\n"))
    }
  }

  @Test
  func withoutACertificateThereIsNoConnection() async throws {
    try await withCloud { cloud async throws -> Void in
      try await withCloud { other in
        // A certificate of another authority.
        let stranger = try await TestNode.join(other, "edge-1")
        await #expect(throws: (any Error).self) { try await TestNode.connect(cloud, "edge-1", stranger) }
      }
      #expect(cloud.connectedNodes.isEmpty)
    }
  }

  @Test
  func headersDecideWhatBecomesOfAConnection() async throws {
    try await withCloud { cloud async throws -> Void in
      let identity = try await TestNode.join(cloud, "edge-1")
      // Another use: open, and never read.
      let mute = try await TestNode.connect(cloud, "edge-1", identity, headers: [("node_id", "edge-1"), ("ConnectionUse", "str")])
      await #expect(throws: (any Error).self) {
        mute.send(
          Message(route: .init(source: "edged", group: "meta", operation: .query, resource: "default/configmap/kube-root-ca.crt")))
        _ = try await mute.received(within: .milliseconds(500)) { _ in true }
      }
      #expect(mute.isOpen)
      await mute.close()
      // A foreign origin.
      await #expect(throws: (any Error).self) {
        try await TestNode.connect(
          cloud, "edge-1", identity, headers: [("node_id", "edge-1"), ("ConnectionUse", "msg"), ("Origin", "https://elsewhere")])
      }
    }
  }

  @Test
  func onlyKeepalivesKeepAConnectionAlive() async throws {
    try await withNode({ $0.keepaliveTimeout = .seconds(3) }) { cloud, node in
      let talk = Task {
        while !Task.isCancelled, node.isOpen {
          node.send(Message(route: .init(source: "edged", group: "meta", operation: .query, resource: "default/configmap/none")))
          try? await Task.sleep(for: .milliseconds(50))
        }
      }
      await node.waitUntilClosed()
      talk.cancel()
      await talk.value
      #expect(cloud.messages(.toCloud) { $0.resource == "default/configmap/none" }.count > 1)
    }
  }

  @Test
  func aSecondConnectionEndsTheFirst() async throws {
    try await withCloud { cloud async throws -> Void in
      let identity = try await TestNode.join(cloud, "edge-1")
      let first = try await TestNode.connect(cloud, "edge-1", identity)
      let second = try await TestNode.connect(cloud, "edge-1", identity)
      await first.waitUntilClosed()
      try await register(second)
      #expect(cloud.connectedNodes == ["edge-1"])
      await second.close()
    }
  }

  @Test(arguments: [
    "no json", #"{"header":{"msg_id":"1","timestamp":"now"},"route":{},"content":null}"#,
    #"{"header":{"msg_id":"1","timestamp":1.5},"route":{},"content":null}"#,
    #"{"header":{"msg_id":"1","timestamp":1},"route":{"operation":7},"content":null}"#, "[]",
  ])
  func anUnreadableEnvelopeEndsTheConnection(text: String) async throws {
    try await withNode { cloud, node in
      node.send(raw: Array(text.utf8))
      await node.waitUntilClosed()
      #expect(!node.isOpen)
    }
  }

  @Test
  func acceptsNodesAgainAfterACut() async throws {
    try await withNode { cloud, node in
      await cloud.cut()
      await node.waitUntilClosed()
      #expect(cloud.connectedNodes.isEmpty)
      let identity = try await { () async throws -> TestNode.Identity in
        try await cloud.restore()
        // Once more changes nothing.
        try await cloud.restore()
        return try await TestNode.join(cloud, "edge-1")
      }()
      let again = try await TestNode.connect(cloud, "edge-1", identity)
      _ = try await again.request(.query, "null/node/edge-1")
      await again.close()
    }
  }

  @Test
  func linkFaultsHitMessagesToNodes() async throws {
    try await withNode { cloud, node in
      cloud.duplicateNextMessages(1)
      let question = try await node.request(.query, "default/configmap/none")
      let copies = try await node.received(2) { $0.id == question.message.id }
      #expect(copies[0].text == copies[1].text)

      cloud.mute()
      await #expect(throws: (any Error).self) {
        node.send(Message(route: .init(source: "edged", group: "meta", operation: .query, resource: "default/configmap/muted")))
        _ = try await node.received(within: .milliseconds(400)) { $0.resource == "default/configmap/muted" }
      }
      #expect(node.isOpen)
      cloud.unmute()
      _ = try await node.request(.query, "default/configmap/none")

      try cloud.send(raw: #"{"header":{"msg_id":"odd","timestamp":1},"route":{},"content":null}"#, to: "edge-1")
      _ = try await node.received { $0.id == "odd" }
    }
  }
}
