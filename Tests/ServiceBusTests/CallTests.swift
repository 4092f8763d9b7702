import Core
import HTTPServer
import NIOPosix
import Synchronization
import Testing
import YAML

@testable import ServiceBus

/// Requests of the cloud's clients to applications.
@Suite struct CallTests {
  private func content(_ method: String, headers: JSONValue = .object([]), body: [UInt8] = []) throws -> JSONValue {
    .object([
      .init("header", headers), .init("body", try JSONValue(json: Base64.json(body))), .init("method", .string(method)),
      .init("url", .string("")),
    ])
  }

  @Test func aCallReachesTheApplicationAsItWas() async throws {
    try await ApplicationServer.with { request in
      var response = ServerResponse(status: 207, contentType: "text/x", body: .bytes([0, 255, 10]))
      response.headers = [
        ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Encoding", "gzip"), ("Connection", "keep-alive, x-own"), ("X-Own", "1"),
      ]
      return response
    } _: { application in
      try await withBus { bus in
        let headers = JSONValue.object([
          .init("X-Many", .array([.string("1"), .string("2")])), .init("Connection", .array([.string("X-Gone")])),
          .init("X-Gone", .array([.string("x")])), .init("Host", .array([.string("evil")])),
          .init("Content-Length", .array([.string("7000")])), .init("Accept-Encoding", .array([.string("gzip")])),
          .init("Expect", .array([.string("100-continue")])), .init("Transfer-Encoding", .array([.string("chunked")])),
        ])
        let answer = try await bus.call(
          "\(application.port):/a%20b/c?x=1:2&y=%2F", "PUT", try content("PUT", headers: headers, body: [1, 0, 200]))
        #expect(answer.status == 207)
        #expect(answer.message.route == .init(source: "servicebus", group: "user", operation: .upload, resource: ""))
        let body = try JSONValue(json: answer.message.content)["body"]?.string
        #expect(body.flatMap { Base64.decode($0.utf8) } == [0, 255, 10])
        #expect(answer.header["Set-Cookie"] == .array([.string("a=1"), .string("b=2")]))
        #expect(answer.header["Content-Encoding"] == .array([.string("gzip")]))
        #expect(answer.header["Content-Type"] == .array([.string("text/x")]))
        for name in ["Connection", "X-Own", "Content-Length"] { #expect(answer.header[name] == nil) }
        let request = try await application.last()
        #expect(request.method == "PUT")
        #expect(request.path == "/a b/c")
        #expect(request.queryValue("x") == "1:2")
        #expect(request.body == [1, 0, 200])
        #expect(request.headerValues("X-Many") == ["1", "2"])
        #expect(request.headerValues("Content-Length") == ["3"])
        #expect(request.headerValues("Host") == ["127.0.0.1:\(application.port)"])
        #expect(request.headerValues("Accept") == ["*/*"])
        for name in ["X-Gone", "Expect", "Transfer-Encoding"] { #expect(request.headerValues(name) == []) }
      }
    }
  }

  @Test(arguments: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
  func anyMethodPasses(_ method: String) async throws {
    try await ApplicationServer.with { _ in
      .text("done")
    } _: { application in
      try await withBus { bus in
        // Over a kept connection, too.
        for _ in 0..<3 {
          let answer = try await bus.call("\(application.port):/x", .init(method), try content(method))
          #expect(answer.status == 200)
          #expect(answer.body == (method == "HEAD" ? "" : "done"))
        }
        #expect(application.seen.withLock { $0.map(\.method) } == [method, method, method])
      }
    }
  }

  @Test func theRouterOf2019IsUnderstood() async throws {
    try await ApplicationServer.with {
      .text($0.method + $0.path)
    } _: { application in
      try await withBus { bus in
        let old = JSONValue.object([.init("header", .object([])), .init("body", .string(""))])
        let answer = try await bus.call("\(application.port):x/y", "DELETE", old, source: "router_rest")
        #expect(answer.body == "DELETE/x/y")
      }
    }
  }

  @Test(arguments: ["8080", "x:/y", "0:/x", "70000:/x", "80:/a b", "evil.example:80"])
  func aResourceThatLeadsNowhereIsToldSo(_ resource: String) async throws {
    try await withBus { bus in
      let answer = try await bus.call(resource)
      #expect(answer.status == 400)
      #expect(answer.body == "the format of resource \(resource) is incorrect")
      #expect(answer.header == .object([.init("Server", .array([.string("kubeedge-edgecore")]))]))
      #expect(answer.message.route == .init(source: "servicebus", group: "user", operation: .upload, resource: ""))
    }
  }

  @Test func whatCannotBeSentIsToldSo() async throws {
    try await ApplicationServer.with { _ in
      .text("done")
    } _: { application in
      try await withBus { bus in
        let unread = try await bus.call("\(application.port):/", "GET", .array([]))
        #expect(unread.status == 400)
        #expect(unread.body == "error to parse http request")
        for broken in [
          try content("GE T"), try content("GET\r\nX: y"), try content("GET", headers: .object([.init("X-A", .string("a\r\nX-B: c"))])),
          try content("GET", headers: .object([.init("X A", .string("a"))])),
        ] {
          let answer = try await bus.call("\(application.port):/", "GET", broken)
          #expect(answer.status == 404)
          #expect(answer.body == "error to call service")
        }
        #expect(application.seen.withLock { $0.isEmpty })
      }
    }
  }

  @Test func anApplicationThatIsNotThereIsToldSo() async throws {
    // Listened on before, so that nobody else does.
    let port = Mutex(0)
    try await ApplicationServer.with { _ in
      .text("")
    } _: { application in
      port.withLock { $0 = application.port }
    }
    try await withBus { bus in
      let answer = try await bus.call("\(port.withLock { $0 }):/")
      #expect(answer.status == 404)
      #expect(answer.body == "error to call service")
    }
  }

  @Test func anApplicationThatHangsIsGivenUp() async throws {
    try await ApplicationServer.with { request in
      if request.path == "/head" { try await Task.sleep(for: .seconds(3600)) }
      return ServerResponse(
        contentType: "text/plain",
        body: .stream { writer in
          try await writer.write(Array("begun".utf8))
          try await Task.sleep(for: .seconds(3600))
        })
    } _: { application in
      try await withBus({ _, limits in limits.callTimeout = .milliseconds(500) }) { bus in
        let head = try await bus.call("\(application.port):/head")
        #expect(head.status == 404)
        #expect(head.body == "error to call service")
        let body = try await bus.call("\(application.port):/body")
        #expect(body.status == 500)
        #expect(body.body.hasPrefix("error to receive response, err: "))
      }
    }
  }

  @Test func anAnswerThatBreaksOffIsToldSo() async throws {
    try await ApplicationServer.with { _ in
      ServerResponse(
        contentType: "text/plain",
        body: .stream { writer in
          try await writer.write(Array("begun".utf8))
          throw TestFailure("the application fails")
        })
    } _: { application in
      try await withBus { bus in
        let answer = try await bus.call("\(application.port):/")
        #expect(answer.status == 500)
        #expect(answer.body.hasPrefix("error to receive response, err: "))
      }
    }
  }

  @Test func whatIsBeyondFiveMillionBytesIsCutOff() async throws {
    try await ApplicationServer.with { request in
      .text(String(repeating: "x", count: Int(request.queryValue("bytes") ?? "") ?? 0))
    } _: { application in
      try await withBus { bus in
        for (count, length) in [(5_000_000, 5_000_000), (5_000_001, 5_000_000), (30_000_000, 5_000_000), (4_999_999, 4_999_999)] {
          let answer = try await bus.call("\(application.port):/?bytes=\(count)")
          #expect(answer.status == 200)
          #expect(answer.body.utf8.count == length)
          #expect(answer.header["Content-Length"] == nil)
        }
      }
    }
  }

  @Test func redirectionsAreTheClientsBusiness() async throws {
    try await ApplicationServer.with { _ in
      var response = ServerResponse.text("over there", status: 302)
      response.headers = [("Location", "http://evil.example/")]
      return response
    } _: { application in
      try await withBus { bus in
        let answer = try await bus.call("\(application.port):/")
        #expect(answer.status == 302)
        #expect(answer.header["Location"] == .array([.string("http://evil.example/")]))
      }
    }
  }

  @Test func tooManyCallsAreRefusedWhileTheOthersGoOn() async throws {
    let (gate, open) = AsyncStream<Void>.makeStream()
    try await ApplicationServer.with { request in
      if request.path == "/wait" { for await _ in gate {} }
      return .text("done")
    } _: { application in
      try await withBus({ _, limits in (limits.calls, limits.callTimeout) = (1, .seconds(600)) }) { bus in
        async let first = bus.call("\(application.port):/wait")
        while application.seen.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
        for _ in 0..<20 {
          let refused = try await bus.call("\(application.port):/")
          #expect(refused.status == 503)
          #expect(refused.header == .object([.init("Server", .array([.string("kubeedge-edgecore")]))]))
        }
        // Rules are heard of meanwhile.
        try await bus.allow()
        open.finish()
        #expect(try await first.body == "done")
        #expect(try await bus.call("\(application.port):/").body == "done")
      }
    }
  }

  @Test func bytesUnderWayAreBounded() async throws {
    try await ApplicationServer.with { request in
      .text(String(repeating: "x", count: Int(request.queryValue("bytes") ?? "") ?? 0))
    } _: { application in
      try await withBus({ _, limits in limits.callBytes = 20_000 }) { bus in
        let large = try await bus.call("\(application.port):/?bytes=30000")
        #expect(large.status == 503)
        let request = try await bus.call("\(application.port):/", "POST", try content("POST", body: [UInt8](repeating: 1, count: 20_000)))
        #expect(request.status == 503)
        #expect(try await bus.call("\(application.port):/?bytes=10000").body.utf8.count == 10_000)
      }
    }
  }

  @Test func otherMessagesMeanNothing() async throws {
    try await ApplicationServer.with { _ in
      .text("done")
    } _: { application in
      try await withBus { bus in
        for source in ["router_eventbus", "servicebus", "edgecontroller", ""] {
          try await bus.tell(.start, "http://\(source)/", source: source)
          try await bus.tell("GET", "\(application.port):/", source: source)
        }
        try await bus.channel.send(CloudConnection.connected.message, to: .serviceBus)
        // A late answer.
        try await bus.channel.send(
          Message(
            header: .init(parentID: "gone"),
            route: .init(source: "router_servicebus", group: "user", operation: "GET", resource: "\(application.port):/")),
          to: .serviceBus)
        #expect(try await bus.call("\(application.port):/last").body == "done")
        #expect(application.seen.withLock { $0.map(\.path) } == ["/last"])
        #expect(try await bus.summary { _ in true }.targetURLs == [])
        #expect(bus.sent.withLock { $0.count } == 1)
      }
    }
  }
}
