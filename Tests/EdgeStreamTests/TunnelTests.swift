import CloudSimulator
import Core
import Testing
import YAML

@testable import EdgeStream

/// One at a time: each counts the sockets of the process.
@Suite(.serialized, .timeLimit(.minutes(3))) struct TunnelTests {
  private static func bytes(_ count: Int) -> [UInt8] {
    let block = (0..<4099).map { _ in UInt8.random(in: 0...255) }
    var bytes: [UInt8] = []
    while bytes.count < count { bytes += block }
    return Array(bytes[..<count])
  }

  @Test func `the tunnel is opened once the cloud has the node, and again for another Node`() async throws {
    try await withNode({ $1.registration = .seconds(170) }) { node in
      func register(_ uid: String) async throws {
        try await node.channel.send(NodeRegistration(uid: uid).message, toGroup: .registration)
      }
      #expect(try await node.summary().connections == 0)
      try await register("1")
      try await node.connected()
      try await register("1")
      let log = try node.open(.logs, "/containerLogs/default/p/bytes")
      #expect(try await log.all() == node.server.body)
      #expect(node.cloud.tunnelConnections == 1)
      try await register("2")
      try await node.connected(times: 2)
      #expect(try await node.open(.logs, "/containerLogs/default/p/bytes").all() == node.server.body)
      #expect(node.cloud.tunnelConnections == 2)
      #expect(try await node.summary().lastError == nil)
    }
  }

  // MARK: Logs and metrics

  @Test(arguments: ["bytes", "chunked"]) func `a log arrives as it is, whatever is in it`(_ kind: String) async throws {
    try await withNode(body: Self.bytes(3 << 20) + [0xFF, 0xFE, 0xC0]) { node in
      try await node.connected()
      let log = try node.open(.logs, "/containerLogs/default/p/\(kind)")
      #expect(try await log.all() == node.server.body)
      #expect(log.removals == 1 && log.end == .removed)
      #expect(try await node.summary { $0.sessions == 0 }.sessionsTotal == 1)
    }
  }

  @Test func `the node's API is asked in the cloud's words, on the node's own connection`() async throws {
    try await withNode { node in
      try await node.connected()
      let connect = try JSONValue(
        json: #"""
          {"MessID":1,"url":{"Scheme":"https","User":null,"Host":"203.0.113.1:1","Path":"/containerLogs/default/p q/bytes","RawQuery":"follow=true&x=%20","More":1},
           "header":{"User-Agent":["kubectl"],"X-Two":["a","b"],"Host":["evil"],"Connection":["Upgrade"],"Transfer-Encoding":["chunked"],
           "Accept-Encoding":["gzip"]},"other":null}
          """#)
      for kind in [CloudSimulator.StreamKind.logs, .metrics] {
        #expect(try await node.cloud.openStream(kind, TestNode.address, connect: connect).all() == node.server.body)
      }
      #expect(node.server.heads.count == 2)
      for head in node.server.heads {
        #expect(
          head.split(separator: "\r\n") == [
            "GET /containerLogs/default/p%20q/bytes?follow=true&x=%20 HTTP/1.1", "Host: 127.0.0.1:\(node.server.port)",
            "User-Agent: kubectl", "X-Two: a", "X-Two: b", "accept-encoding: identity", "Connection: close",
          ])
      }
    }
  }

  @Test func `what can't be had is said in words, and the session ends`() async throws {
    try await withNode { node in
      try await node.connected()
      func log(_ name: String) async throws -> String {
        let stream = try node.open(.logs, "/containerLogs/default/p/\(name)")
        try await stream.all()
        #expect(stream.end == .removed && stream.removals == 1)
        return stream.text
      }
      #expect(try await log("missing") == "the node's API answered 404 Not Found\n")
      #expect(try await log("explained") == "no such x")
      #expect(try await log("hangup") == "the node's API at 127.0.0.1:\(node.server.port) ended the connection without an answer\n")
      let torn = try await log("torn")
      #expect(torn.hasPrefix("begin\nend") && torn.contains("the node's API broke its answer off: "))
      #expect(try await node.open(.metrics, "/stats/hangup").all() == [])
      await node.server.stop()
      let words = "the node's API at 127.0.0.1:\(node.server.port) can't be reached: connection refused\n"
      #expect(try await log("bytes") == words)
      for kind in [CloudSimulator.StreamKind.exec, .attach, .metrics] {
        #expect(try await node.open(kind, "/exec/default/p/echo").all() == [])
      }
      #expect(try await node.summary { $0.sessions == 0 }.connected)
    }
  }

  @Test func `a client that goes away ends the request`() async throws {
    try await withNode { node in
      try await node.connected()
      let log = try node.open(.logs, "/containerLogs/default/p/follow", query: "follow=true")
      try await log.wait { $0.text == "begin\n" }
      #expect(node.server.open == 1)
      log.remove()
      log.remove()
      try await node.server.waitUntilAlone()
      try await node.summary { $0.sessions == 0 }
      #expect(log.removals == 0)
      #expect(try await node.summary().connected)
    }
  }

  // MARK: Exec and attach

  @Test func `bytes pass both ways as they are`() async throws {
    try await withNode { node in
      try await node.connected()
      let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n"
      for (kind, method) in [(CloudSimulator.StreamKind.exec, "POST"), (.attach, "GET")] {
        let stream = try node.open(
          kind, "/exec/default/p/echo", query: "command=sh&input=1",
          headers: [
            ("Connection", ["Upgrade"]), ("Content-Length", ["0"]), ("Upgrade", ["SPDY/3.1"]), ("X-Stream-Protocol-Version", ["v4", "v3"]),
          ], method: method)
        try await stream.wait { $0.text == head }
        #expect(
          node.server.heads.last
            == "\(method) /exec/default/p/echo?command=sh&input=1 HTTP/1.1\r\nHost: 127.0.0.1:\(node.server.port)\r\nConnection: Upgrade\r\n"
            + "Content-Length: 0\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4\r\nX-Stream-Protocol-Version: v3")
        stream.forget()
        let sent = Array(0...255) + Self.bytes(1 << 20)
        stream.send(sent)
        try await stream.wait { $0.count == head.utf8.count + sent.count }
        #expect(stream.bytes == sent)
        // cloudcore says it again and again until it hears the same.
        for _ in 0..<100 { stream.remove() }
        try await stream.wait { $0.end == .removed }
        try await node.server.waitUntilAlone()
        try await node.summary { $0.sessions == 0 }
        #expect(stream.removals == 1)
      }
    }
  }

  @Test func `an end on the node ends the session, after its last words`() async throws {
    try await withNode { node in
      try await node.connected()
      let stream = try node.open(.exec, "/exec/default/p/bye")
      #expect(try await stream.all() == Array("bye".utf8))
      #expect(stream.end == .removed && stream.removals == 1)
    }
  }

  @Test func `what was sent before the client left arrives`() async throws {
    try await withNode { node in
      try await node.connected()
      let sent = Self.bytes(900_000)
      let stream = try node.open(.exec, "/exec/default/p/collect")
      stream.send(sent)
      stream.remove()
      try await node.summary { $0.sessionsTotal == 1 && $0.sessions == 0 }
      try await node.server.waitUntilAlone()
      #expect(node.server.collected == sent)
    }
  }

  // MARK: Many and slow ones

  @Test func `a session that takes nothing is ended, others go on`() async throws {
    try await withNode { node in
      try await node.connected()
      let stuck = try node.open(.exec, "/exec/default/p/stuck")
      let echo = try node.open(.exec, "/exec/default/p/echo")
      try await echo.wait { $0.text.hasSuffix("\r\n\r\n") }
      let before = echo.count
      // More than the kernel's buffers and the limit hold together.
      let block = [UInt8](repeating: 0, count: 1 << 20)
      for round in 0..<20 {
        stuck.send(block, piece: 16 << 10)
        echo.send("x")
        try await echo.wait { $0.count >= before + round + 1 }
      }
      try await stuck.all()
      #expect(stuck.end == .removed)
      echo.send("y")
      try await echo.wait { $0.text.hasSuffix("xy") }
      #expect(echo.end == nil)
      #expect(try await node.summary().connections == 1)
    }
  }

  @Test func `when all together take too little, the one with the most waiting is ended`() async throws {
    try await withNode({ _, limits in
      limits.totalBacklog = 1 << 20
      limits.patience = .milliseconds(10)
    }) { node in
      try await node.connected()
      let idle = try node.open(.exec, "/exec/default/p/stuck")
      let stuck = try node.open(.exec, "/exec/default/p/stuck")
      idle.send("a")
      stuck.send([UInt8](repeating: 0, count: 20 << 20), piece: 16 << 10)
      try await stuck.all()
      #expect(stuck.end == .removed && idle.end == nil)
    }
  }

  @Test func `one that takes its time gets everything`() async throws {
    try await withNode({ _, limits in
      limits.heldBacklog = 64 << 10
      limits.resumedBacklog = 32 << 10
      limits.backlog = 1 << 20
    }) { node in
      try await node.connected()
      let stream = try node.open(.exec, "/exec/default/p/echo")
      try await stream.wait { $0.count > 0 }
      let head = stream.count
      stream.forget()
      // Far more than may wait at once.
      let sent = Self.bytes(12 << 20)
      stream.send(sent, piece: 4096)
      try await stream.wait(within: .seconds(120)) { $0.end != nil || $0.count == head + sent.count }
      #expect(stream.end == nil && stream.bytes == sent)
    }
  }

  @Test func `one that says very much leaves room for others`() async throws {
    try await withNode { node in
      try await node.connected()
      let flood = try node.open(.logs, "/containerLogs/default/p/flood")
      try await flood.wait { $0.count > 1 << 20 }
      let echo = try node.open(.exec, "/exec/default/p/echo")
      try await echo.wait { $0.text.hasSuffix("\r\n\r\n") }
      let head = echo.count
      for round in 1...50 {
        echo.send("x")
        try await echo.wait { $0.count == head + round }
        flood.forget()
      }
      #expect(flood.end == nil)
      flood.remove()
      try await node.summary { $0.sessions == 1 }
    }
  }

  @Test func `two hundred at once`() async throws {
    try await withNode(body: Self.bytes(50_000)) { node in
      try await node.connected()
      let logs = try (0..<100).map { _ in try node.open(.logs, "/containerLogs/default/p/bytes") }
      let echoes = try (0..<100).map { _ in try node.open(.exec, "/exec/default/p/echo") }
      for (number, echo) in echoes.enumerated() { echo.send("<\(number)>") }
      for log in logs { #expect(try await log.all() == node.server.body) }
      for (number, echo) in echoes.enumerated() { try await echo.wait { $0.text.hasSuffix("\r\n\r\n<\(number)>") } }
      #expect(try await node.summary { $0.sessions == 100 }.sessionsTotal == 200)
      for echo in echoes { echo.remove() }
      try await node.summary { $0.sessions == 0 }
    }
  }

  @Test func `too many are refused in words`() async throws {
    try await withNode({ $1.sessions = 3 }) { node in
      try await node.connected()
      let open = try (0..<3).map { _ in try node.open(.exec, "/exec/default/p/echo") }
      for stream in open { try await stream.wait { $0.count > 0 } }
      let refused = try node.open(.logs, "/containerLogs/default/p/bytes")
      #expect(try await refused.all() == Array("the node serves 3 sessions, which is the most; try again later\n".utf8))
      open[0].remove()
      try await node.summary { $0.sessions == 2 }
      #expect(try await node.open(.logs, "/containerLogs/default/p/bytes").all() == node.server.body)
      // A number that is in use changes nothing about the one that uses it.
      try node.cloud.sendThroughTunnel(TestNode.name, id: open[1].id, type: 1, Array("{}".utf8))
      open[1].send("z")
      try await open[1].wait { $0.text.hasSuffix("z") }
      #expect(open[1].end == nil)
    }
  }

  // MARK: What isn't right

  @Test func `bad requests end only themselves`() async throws {
    try await withNode { node in
      try await node.connected()
      let path = #""url":{"Path":"/exec/default/p/echo"}"#
      for json in [
        #"[]"#, #"{\#(path),"header":{"X":["a\r\nY: b"]}}"#, #"{\#(path),"header":{"X: a\r\nY":["b"]}}"#,
        #"{\#(path),"header":{"X":["a\u0000"]}}"#, #"{\#(path),"header":{"":["a"]}}"#, #"{\#(path),"header":{"X":[1]}}"#,
        #"{\#(path),"header":7}"#, #"{\#(path),"method":"GET / HTTP/1.1\r\nX: y"}"#, #"{\#(path),"method":"DELETE"}"#,
        #"{\#(path),"method":5}"#, #"{"url":{"Path":"/x","RawQuery":"a b"}}"#, #"{"url":{"Path":"/x","RawQuery":"a\r\nX: y"}}"#,
        #"{"url":{"Path":5}}"#, #"{"url":"/exec"}"#,
      ] {
        let stream = try node.cloud.openStream(.exec, TestNode.name, connect: try JSONValue(json: json))
        try await stream.all()
        #expect(stream.end == .removed && stream.removals == 1, "\(json)")
      }
      let log = try node.cloud.openStream(.logs, TestNode.name, connect: try JSONValue(json: #"{\#(path),"header":{"X":["\n"]}}"#))
      try await log.all()
      #expect(log.text == "the request is refused: the header X has characters that no header may have\n")
      #expect(node.server.heads.isEmpty)
      #expect(try await node.summary().connections == 1)
    }
  }

  @Test func `messages that mean nothing are ignored`() async throws {
    try await withNode { node in
      try await node.connected()
      for (id, type) in [(999, 3), (999, 4), (0, 9), (UInt64.max, 3), (5, UInt64.max)] as [(UInt64, UInt64)] {
        try node.cloud.sendThroughTunnel(TestNode.name, id: id, type: type, [0x80])
      }
      #expect(try await node.open(.logs, "/containerLogs/default/p/bytes").all() == node.server.body)
      #expect(try await node.summary().connections == 1)
    }
  }

  // MARK: The tunnel's life

  @Test func `it is known by the node's name and address`() async throws {
    try await withNode { node in
      try await node.connected()
      #expect(node.cloud.hasTunnel(TestNode.name) && node.cloud.hasTunnel(TestNode.address))
      let summary = try await node.summary { $0.connected }
      #expect(summary.server == node.cloud.tunnelServer && summary.lastError == nil)
    }
  }

  @Test func `it comes back after a cut, and what was in it is gone`() async throws {
    try await withNode { node in
      try await node.connected()
      let streams = try (0..<5).map { _ in try node.open(.exec, "/exec/default/p/echo") }
      for stream in streams { try await stream.wait { $0.count > 0 } }
      await node.cloud.cutTunnels()
      for stream in streams { #expect(stream.end == .tunnelLost) }
      try await node.server.waitUntilAlone()
      try await node.error("can't be reached: connection refused")
      #expect(try await !node.summary().connected)
      try await node.cloud.restoreTunnels()
      try await node.connected(times: 2)
      #expect(try await node.open(.logs, "/containerLogs/default/p/bytes").all() == node.server.body)
    }
  }

  @Test func `the cloud's reason for an end is told, and the tunnel comes back`() async throws {
    try await withNode { node in
      try await node.connected()
      let stream = try node.open(.exec, "/exec/default/p/echo")
      try await stream.wait { $0.count > 0 }
      try node.cloud.closeTunnel(TestNode.name, "the Node is unknown")
      try await node.error("the cloud has ended the tunnel: \"the Node is unknown\"")
      try await node.connected(times: 2)
      try await node.server.waitUntilAlone()
    }
  }

  @Test func `it is kept alive, and a mute cloud is left`() async throws {
    try await withNode({ _, limits in
      limits.ping = .milliseconds(50)
      limits.mute = .seconds(1)
    }) { node in
      try await node.connected()
      try await node.cloud.waitForTunnel { $0.tunnelPings(of: TestNode.name).count >= 40 }
      #expect(node.cloud.tunnelPings(of: TestNode.name).first == "ping you")
      #expect(node.cloud.tunnelConnections == 1)
      node.cloud.mute()
      try await node.error("has said nothing for 1 s")
      node.cloud.unmute()
      try await node.connected(times: 2)
    }
  }

  @Test func `it waits for the node's certificate`() async throws {
    try await withNode(hasFiles: false) { node in
      try await node.error("waits for the node's certificate: can't read \(node.folder)/ca.crt: No such file or directory")
      try node.writeFiles()
      try await node.channel.send(CloudConnection.connected.message, toGroup: .connection)
      try await node.connected()
    }
  }

  @Test func `it stops while it waits`() async throws {
    try await withNode(hasFiles: false) { try await $0.error("waits for the node's certificate") }
  }

  @Test func `each connection uses the certificate that is there then`() async throws {
    try await withNode { node in
      try await node.connected()
      try node.write("node.key", "nothing")
      await node.cloud.cutTunnels()
      try await node.cloud.restoreTunnels()
      try await node.error("the node's certificate or key can't be used")
      try node.writeFiles()
      try await node.connected(times: 2)
    }
  }

  @Test func `the cloud has to be of the CA, under whatever name`() async throws {
    try await withNode({ configuration, _ in
      configuration.server = "localhost:" + (configuration.server.split(separator: ":").last ?? "")
    }) { node in
      try await node.connected()
      let other = try await CloudSimulator.start()
      try node.write("ca.crt", other.authorityPEM)
      await other.shutdown()
      await node.cloud.cutTunnels()
      try await node.cloud.restoreTunnels()
      try await node.error("can't be verified")
      #expect(node.cloud.tunnelConnections == 1)
    }
  }

  @Test func `a stop ends all sessions and says so`() async throws {
    let kept = Kept()
    try await withNode { node in
      try await node.connected()
      let streams = try (0..<20).map { number in
        number % 2 == 0 ? try node.open(.exec, "/exec/default/p/echo") : try node.open(.logs, "/containerLogs/default/p/follow")
      }
      for stream in streams { try await stream.wait { $0.count > 0 } }
      await kept.keep(streams)
    }
    for stream in await kept.streams { #expect(stream.end == .removed && stream.removals == 1) }
  }
}

private actor Kept {
  var streams: [TunnelStream] = []
  func keep(_ streams: [TunnelStream]) { self.streams = streams }
}
