import CloudSimulator
import Core
import Glibc
import NIOCore
import NIOPosix
import NIOWebSocket
import Testing
import YAML

@testable import EdgeHub
@testable import WebSocket

@Suite(.timeLimit(.minutes(3))) struct ConnectionTests {
  @Test func `keeps the connection alive`() async throws {
    try await withCloud({ $0.keepaliveTimeout = .seconds(8) }) { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        try await node.connected()
        let beat = try await cloud.message(.toCloud) { $0.operation == .keepalive }
        #expect(beat.route == .init(source: "websocket", group: "resource", operation: .keepalive, resource: "node"))
        #expect(beat.content == Array("\"ping\"".utf8))
        // One a second: with the first alone it would have ended.
        while cloud.messages(.toCloud, matching: { $0.operation == .keepalive }).count < 12 {
          try await Task.sleep(for: .milliseconds(100))
        }
        #expect(try await node.summary().connections == 1)
      }
    }
  }

  @Test func `a request gets the cloud's answer`() async throws {
    try await withCloud { cloud in
      try cloud.apply(
        try JSONValue(json: #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"<v>"}}"#))
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        try await node.connected()
        let answer = try await node.channel.request(node.message(.query, "default/configmap/a"), to: .websocket, timeout: .seconds(20))
        #expect(try JSONValue(json: answer.payload)["data"]?["k"]?.string == "<v>")
        let sent = try await cloud.message(.toCloud) { $0.operation == .query }
        #expect(!sent.header.sync && answer.parentID == sent.id)
      }
    }
  }

  @Test func `what the cloud sends goes to those it is for`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try node.channel.register(.twin, group: .twin)
      try node.channel.register(.eventBus, group: .bus)
      try node.channel.register(.taskManager, group: .taskManager)
      try await node.run { node in
        try await node.connected()
        func send(_ group: String, _ resource: String, parent: String = "", content: String = "null") throws {
          try cloud.send(
            Message(
              header: .init(parentID: parent), route: .init(source: "edgecontroller", group: group, operation: .update, resource: resource),
              content: Array(content.utf8)), to: TestHub.node)
        }
        try send("resource", "default/pod/a")
        #expect(try await node.nextForMetaManager().resource == "default/pod/a")
        try send("func", "f")
        #expect(try await node.nextForMetaManager().resource == "f")
        // An answer for which nobody waits any more.
        try send("resource", "default/secret/late", parent: "11111111-1111-4111-8111-111111111111")
        #expect(try await node.nextForMetaManager().parentID == "11111111-1111-4111-8111-111111111111")
        for (group, module) in [("twin", ModuleName.twin), ("user", .eventBus), ("taskmanager", .taskManager)] {
          try send(group, "for/\(group)")
          var message = try await node.channel.receive(module)
          while CloudConnection(message) != nil { message = try await node.channel.receive(module) }
          #expect(message.resource == "for/\(group)")
        }
      }
    }
  }

  @Test func `what is no message is dropped, and the connection stays`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        try await node.connected()
        for text in [
          "garbage", "[]", "{}", #"{"header":{"msg_id":7,"timestamp":"x"},"route":3}"#, "{\"header\":", "",
          #"{"header":{"msg_id":"1","timestamp":1},"route":{"group":"nobody"},"content":1}"#,
          #"{"header":{"msg_id":"2","timestamp":1},"route":{"group":"twin"},"content":1}"#,
        ] { try cloud.send(raw: text, to: TestHub.node) }
        try cloud.send(
          raw: #"{"header":{"msg_id":"3","timestamp":1},"route":{"group":"resource","resource":"ok"},"content":{}} trailing"#,
          to: TestHub.node)
        #expect(try await node.nextForMetaManager().resource == "ok")
        let summary = try await node.summary()
        #expect(summary.connected && summary.connections == 1 && summary.received == 9)
      }
    }
  }

  @Test func `big messages pass both ways`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        try await node.connected()
        for size in [100, 4082, 4083, 8000, 70_000, 5 << 20] {
          let content = "\"" + String(repeating: "x", count: size) + "\""
          try cloud.send(
            Message(
              route: .init(source: "edgecontroller", group: "resource", operation: .update, resource: "r/\(size)"),
              content: Array(content.utf8)), to: TestHub.node)
          let message = try await node.nextForMetaManager()
          #expect(message.resource == "r/\(size)" && message.content.count == size + 2)
          try await node.channel.send(node.message(.upload, "s/\(size)", content), to: .websocket)
          #expect(try await cloud.message(.toCloud) { $0.resource == "s/\(size)" }.content.count == size + 2)
        }
      }
    }
  }

  @Test func `a message that is too big ends the connection, and says so`() async throws {
    #expect(HubTiming().messageLimit == 64 << 20)
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { $1.messageLimit = 1 << 20 }
      try await node.run { node in
        try await node.connected()
        try cloud.send(raw: String(repeating: " ", count: (1 << 20) + 1), to: TestHub.node)
        try await node.error("more than the \(1 << 20) bytes that are allowed")
        try await node.connected(times: 2)
      }
    }
  }

  @Test func `while the cloud is away requests are refused, and everybody hears of it`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        #expect(try await node.nextConnectionChange() == .connected)
        cloud.mute()
        async let open = node.channel.request(node.message(.query, "default/secret/open"), to: .websocket, timeout: .seconds(60))
        try await cloud.message(.toCloud) { $0.resource == "default/secret/open" }
        await cloud.cut()
        // The one under way, and one that comes then.
        let ended = try await open
        #expect(ended.operation == .error && MetadataError(content: ended.content).kind == .offline)
        #expect(try await node.nextConnectionChange() == .disconnected)
        try await node.channel.send(node.message(.update, "default/pod/lost"), to: .websocket)
        let refused = try await node.channel.request(node.message(.query, "default/secret/a"), to: .websocket, timeout: .seconds(60))
        #expect(refused.operation == .error && MetadataError(content: refused.content).kind == .offline)
        #expect(try await !node.summary().connected)
        try await node.error("the cloud at \(cloud.websocketServer) can't be reached: connection refused")
        cloud.unmute()
        try await cloud.restore()
        #expect(try await node.nextConnectionChange() == .connected)
        #expect(try await node.summary().connections == 2)
      }
    }
  }

  @Test func `what devices say is answered when it is sent, and comes back when it can't be`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try node.channel.register(.eventBus, group: .bus)
      @Sendable func upload(_ number: Int) -> Message {
        Message(route: .init(source: "bus", group: "user", operation: .upload, resource: "a/b"), content: Array("\"\(number)\"".utf8))
      }
      try await node.run { node in
        try await node.connected()
        try await node.channel.send(upload(1), to: .websocket)
        let answer = try await node.channel.request(upload(2), to: .websocket, timeout: .seconds(20))
        #expect(answer.operation == .response)
        let sent = try await cloud.message(.toCloud) { $0.content == Array("\"2\"".utf8) }
        #expect(sent.route == .init(source: "bus", group: "user", operation: .upload, resource: "a/b") && !sent.header.sync)
        #expect(!cloud.messages(.toCloud, matching: { $0.content == Array("\"1\"".utf8) }).isEmpty)

        await cloud.cut()
        try await node.summary { !$0.connected }
        let lost = upload(3)
        try await node.channel.send(lost, to: .websocket)
        let asked = upload(4)
        #expect(try await node.channel.request(asked, to: .websocket, timeout: .seconds(20)).operation == .error)
        var back: [Message] = []
        while back.count < 2 {
          let message = try await node.channel.receive(.eventBus)
          if CloudConnection(message) == nil { back.append(message) }
        }
        #expect(back.map(\.parentID) == [lost.id, asked.id])
        #expect(back.allSatisfy { $0.operation == .error && $0.resource == "a/b" && $0.route.group == "bus" })
        #expect(back.map(\.content) == [lost.content, asked.content])
      }
    }
  }

  @Test func `devices' messages that wait for the rate come back when the connection is lost`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { configuration, _ in
        configuration.messageQPS = 1
        configuration.messageBurst = 1
      }
      try node.channel.register(.eventBus, group: .bus)
      try await node.run { node in
        try await node.connected()
        for number in 0..<50 {
          let route = Message.Route(source: "bus", group: "user", operation: .upload, resource: "a/b")
          try await node.channel.send(Message(route: route, content: Array("\"\(number)\"".utf8)), to: .websocket)
        }
        _ = try await cloud.message(.toCloud) { $0.content == Array("\"0\"".utf8) }
        // Others have their turn meanwhile.
        try await node.channel.send(node.message(.update, "default/podstatus/a"), to: .websocket)
        _ = try await cloud.message(.toCloud) { $0.resource == "default/podstatus/a" || $0.resource.hasSuffix("default/podstatus/a") }
        await cloud.cut()
        var back: Set<String> = []
        let sent = Set(cloud.messages(.toCloud, matching: { $0.operation == .upload }).map { String(decoding: $0.content, as: UTF8.self) })
        while back.union(sent).count < 50 {
          let message = try await node.channel.receive(.eventBus)
          if message.operation == .error { back.insert(String(decoding: message.content, as: UTF8.self)) }
        }
        #expect(back.count >= 40)
      }
    }
  }

  @Test func `a mute cloud is left`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { $1.muteLimit = .milliseconds(500) }
      try await node.run { node in
        try await node.connected()
        cloud.mute()
        let refused = try await node.channel.request(node.message(.query, "default/secret/a"), to: .websocket, timeout: .seconds(60))
        #expect(MetadataError(content: refused.content).kind == .offline)
        try await node.error("has said nothing for")
        cloud.unmute()
        try await node.connected(times: 2)
      }
    }
  }

  @Test func `a receiver without room makes the cloud wait`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      node.channel.unregister(.metaManager)
      try node.channel.register(.metaManager, group: .meta, capacity: 2)
      try await node.run { node in
        try await node.connected()
        let content = "\"" + String(repeating: "x", count: 100_000) + "\""
        for number in 0..<300 {
          try cloud.send(
            Message(
              route: .init(source: "edgecontroller", group: "resource", operation: .update, resource: "r/\(number)"),
              content: Array(content.utf8)), to: TestHub.node)
        }
        for number in 0..<300 { #expect(try await node.nextForMetaManager().resource == "r/\(number)") }
        #expect(try await node.summary().connections == 1)
      }
    }
  }

  @Test func `messages keep to the rate, acknowledgements do not`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { configuration, _ in
        configuration.messageQPS = 1
        configuration.messageBurst = 2
      }
      try await node.run { node in
        try await node.connected()
        for number in 0..<20 { try await node.channel.send(node.message(.update, "limited/\(number)"), to: .websocket) }
        for number in 0..<20 { try await node.channel.send(node.message(.response, "ack/\(number)", "\"OK\""), to: .websocket) }
        try await cloud.message(.toCloud) { $0.resource == "ack/19" }
        let limited = cloud.messages(.toCloud) { $0.resource.hasPrefix("limited/") }
        #expect((1..<20).contains(limited.count))
        #expect(cloud.messages(.toCloud) { $0.resource.hasPrefix("ack/") }.map(\.resource) == (0..<20).map { "ack/\($0)" })
      }
    }
  }

  @Test func `acknowledgements pass all that wait for the rate`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { configuration, _ in
        configuration.messageQPS = 1
        configuration.messageBurst = 1
      }
      try await node.run { node in
        try await node.connected()
        // More than mailboxes hold.
        for number in 0..<3000 { try await node.channel.send(node.message(.update, "limited/\(number)"), to: .websocket) }
        let objects = try (0..<1000).map { number in
          try JSONValue(
            json: #"{"kind":"ConfigMap","metadata":{"name":"c\#(number)","namespace":"default","uid":"u\#(number)","resourceVersion":"1"}}"#
          )
        }
        try cloud.push(objects, to: TestHub.node)
        for number in 0..<1000 {
          let pushed = try await node.nextForMetaManager()
          #expect(pushed.resource == "default/configmap/c\(number)")
          try await node.channel.send(
            .reply(to: pushed, from: .metaManager, operation: .response, content: Array("\"OK\"".utf8)), to: .websocket)
        }
        while cloud.acknowledgedPushes(of: TestHub.node) < 1000 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(cloud.messages(.toCloud) { $0.resource.hasPrefix("limited/") }.count < 1000)
        #expect(try await node.summary().connections == 1)
      }
    }
  }

  @Test func `what is in the mailbox is sent before the module stops, however low the rate`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token) { configuration, timing in
        configuration.messageQPS = 1
        configuration.messageBurst = 1
        timing.drainLimit = .seconds(30)
      }
      try await node.run { node in
        try await node.connected()
        for number in 0..<200 { try await node.channel.send(node.message(.update, "last/\(number)"), to: .websocket) }
      }
      #expect(cloud.messages(.toCloud) { $0.resource.hasPrefix("last/") }.count == 200)
    }
  }

  @Test func `a server that speaks no websocket is named`() async throws {
    try await withCloud { cloud in
      let folder = try Folder()
      try await TestHub(cloud, token: cloud.token, folder: folder).run { try await $0.connected() }
      let node = try TestHub(cloud, token: "", folder: folder) { configuration, _ in
        configuration.websocket.server = String(cloud.httpServer.dropFirst("https://".count))
      }
      try await node.run { try await $0.error("with status 404: \"404: Page Not Found\"") }
    }
  }

  @Test func `a server that says nothing is not waited for`() async throws {
    let listener = try SilentListener()
    try await withCloud { cloud in
      let folder = try Folder()
      try await TestHub(cloud, token: cloud.token, folder: folder).run { try await $0.connected() }
      let node = try TestHub(cloud, token: "", folder: folder) { configuration, _ in
        configuration.websocket.server = "127.0.0.1:\(listener.port)"
        configuration.websocket.handshakeTimeout = 1
      }
      try await node.run { try await $0.error("did not finish the handshake within 1 s") }
    }
  }

  @Test func `a peer that takes nothing loses the connection`() async throws {
    let listener = try SilentListener()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let inbox = MessageInbox()
    let channel = try await ClientBootstrap(group: group)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(WebSocketFrameEncoder())
          try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(WebSocketFrameDecoder()))
          try channel.pipeline.syncOperations.addHandler(WebSocketHandler(inbox: inbox, server: "test", limit: 1024) {})
        }
      }
      .connect(host: "127.0.0.1", port: listener.port).get()
    let connection = WebSocketConnection(channel: channel, inbox: inbox, writeDeadline: 1)
    await #expect(throws: ConnectionError.writeDeadline(seconds: 1)) {
      try await connection.send([UInt8](repeating: 0x20, count: 20 << 20))
    }
    await #expect(throws: ConnectionError.writeDeadline(seconds: 1)) { try await connection.receive() }
    await connection.close()
    try await group.shutdownGracefully()
  }
}

/// Takes connections and never says or reads anything.
private final class SilentListener: Sendable {
  private let descriptor: Int32
  let port: Int

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let isListening = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 8) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isListening else { throw CertificateError.file("can't listen") }
    port = Int(UInt16(bigEndian: address.sin_port))
  }

  deinit { close(descriptor) }
}
