import Testing

@testable import ServiceBus

/// Requests that two servers in a row could understand differently, and what is no HTTP at all.
@Suite struct SmugglingTests {
  /// A request that would be answered with 200, were it seen as one.
  private static let inner =
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(TestBus.request().utf8.count)\r\n\r\n" + TestBus.request()

  private static func post(_ headers: String, _ body: String) -> String {
    "POST / HTTP/1.1\r\nHost: localhost\r\n\(headers)\r\n\r\n\(body)"
  }

  @Test(arguments: [
    ("two lengths", post("Content-Length: 0\r\nContent-Length: \(inner.utf8.count)", inner)),
    ("the same length twice", post("Content-Length: 0\r\nContent-Length: 0", inner)),
    ("a list of lengths", post("Content-Length: 0, 0", inner)),
    ("length and chunks", post("Content-Length: \(inner.utf8.count + 5)\r\nTransfer-Encoding: chunked", "0\r\n\r\n\(inner)")),
    ("chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n\(inner)")),
    ("an encoding that nobody knows", post("Transfer-Encoding: xchunked", inner)),
    ("chunks inside another encoding", post("Transfer-Encoding: chunked, identity", "0\r\n\r\n\(inner)")),
    ("two encodings", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n\(inner)")),
    ("a signed length", post("Content-Length: +5", "12345\(inner)")), ("a negative length", post("Content-Length: -1", inner)),
    ("a length in hexadecimal", post("Content-Length: 0x0", inner)),
    ("a length without end", post("Content-Length: 99999999999999999999999", inner)),
    ("a space before the colon", post("Content-Length : 0", inner)), ("a folded line", post("X-A: 1\r\n Content-Length: 0", inner)),
    ("a folded length", post("Content-Length:\r\n 0", inner)), ("a zero byte", post("X-A: a\u{0}b", inner)),
    ("a carriage return inside", post("X-A: a\rContent-Length: 0", inner)),
    ("line feeds alone", "POST / HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n\(inner)"),
    ("a line feed alone inside", "POST / HTTP/1.1\r\nHost: localhost\nContent-Length: 0\r\n\r\n\(inner)"),
    ("a chunk's size without end", post("Transfer-Encoding: chunked", "fffffffffffffffff\r\n\(inner)")),
    ("a chunk's negative size", post("Transfer-Encoding: chunked", "-1\r\n\(inner)")),
    ("chunks that end too late", post("Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n\(inner)")),
    ("a line without a name", post(": 5", inner)), ("a name with a space", post("Content Length: 0", inner)),
    ("no version", "POST /\r\nHost: localhost\r\n\r\n\(inner)"), ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\(inner)"),
    ("HTTP/1.2", "POST / HTTP/1.2\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n\(inner)"),
    ("a method that nobody knows", "p@st / HTTP/1.1\r\nHost: localhost\r\n\r\n\(inner)"),
    ("a space in the target", "POST /a b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n\(inner)"),
    ("TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\(inner)"),
  ])
  func whatCanBeUnderstoodInTwoWaysIsRefused(_ name: String, _ text: String) async throws {
    try await withBus { bus in
      try await bus.allow()
      let answer = try await bus.raw(text)
      #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(name): \(answer)")
      #expect(!answer.dropFirst(4).contains("HTTP/1.1 2"), "\(name): \(answer)")
      #expect(bus.sent.withLock { $0.isEmpty }, "\(name)")
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  @Test func aHeadMayNotBeHuge() async throws {
    try await withBus { bus in
      try await bus.allow()
      for huge in [
        "X-A: \(String(repeating: "a", count: 100_000))",
        String(repeating: "X-A: \(String(repeating: "a", count: 1000))\r\n", count: 100) + "X: y",
      ] {
        let answer = try await bus.raw(Self.post(huge, Self.inner))
        #expect(answer.hasPrefix("HTTP/1.1 431 "), "\(answer)")
      }
      let target = try await bus.raw("POST /\(String(repeating: "a", count: 200_000)) HTTP/1.1\r\nHost: localhost\r\n\r\n\(Self.inner)")
      #expect(target.hasPrefix("HTTP/1.1 4"), "\(target)")
      #expect(bus.sent.withLock { $0.isEmpty })
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  /// What follows a request that leaves HTTP is no request.
  @Test(arguments: [
    "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket",
  ])
  func nothingBecomesATunnel(_ head: String) async throws {
    try await withBus { bus in
      try await bus.allow()
      let answer = try await bus.raw("\(head)\r\n\r\n\(Self.inner)")
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.contains("invalid params"))
      #expect(bus.sent.withLock { $0.isEmpty })
    }
  }

  /// Requests one behind the other are nothing to be afraid of.
  @Test func severalRequestsInOnePieceAreAnsweredInOrder() async throws {
    try await withBus { bus in
      try await bus.allow()
      let chunked = Self.post("Transfer-Encoding: chunked", "2\r\nno\r\n0\r\n\r\n")
      let last = Self.post("Connection: close\r\nContent-Length: 0", "")
      let answer = try await bus.raw(Self.inner + chunked + Self.inner + last)
      let codes = answer.split(separator: "{\"code\":").dropFirst().map { String($0.prefix(3)) }
      #expect(codes == ["200", "400", "200", "400"])
    }
  }
}
