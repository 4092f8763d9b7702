import Curl
import Glibc
import HTTPServer
import Logging
import NIOPosix
import Synchronization
import Testing

private struct POSIXFailure: Error {
  var code: Int32
}

/// What peers do to connections: leave HTTP, say nothing, say too much, come in crowds.
@Suite struct ConnectionTests {
  private func serving(
    _ routes: [Route], limits: HTTPServer.Limits = .init(), _ body: (String, HTTPClient) async throws -> Void
  ) async throws {
    let path = "/tmp/edgecore-connections-\(UInt64.random(in: 0...UInt64.max)).sock"
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = HTTPServer(address: .unixSocket(path: path), routes: routes, group: group, limits: limits, logger: Logger(label: "test"))
    let client = HTTPClient()
    let (listening, started) = AsyncStream<Void>.makeStream()
    let serving = Task { try await server.run { _ in started.finish() } }
    for await _ in listening {}
    let result: Result<Void, any Error>
    do { result = .success(try await body(path, client)) } catch { result = .failure(error) }
    serving.cancel()
    _ = await serving.result
    await client.shutdown()
    try await group.shutdownGracefully()
    try result.get()
  }

  /// Everything until the peer ends.
  private func rest(_ connection: RawConnection) async throws -> String {
    var bytes: [UInt8] = []
    while let more = try await connection.read() { bytes += more }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Echoes in upper case, and says goodbye when the peer has ended its side.
  private static let shouting = Route(
    "POST", "/shout/{name}",
    handler: .takeOver { request in
      guard request.parameters["name"] == "it" else { throw ServerError.notFound("nobody is called that") }
      guard request.isUpgrade else { return .respond(.text("Upgrade request required", status: 400)) }
      let wanted = request.header("upgrade") ?? ""
      return .stream { connection in
        try await connection.write(SwitchingProtocols(headers: [("Upgrade", wanted), ("X-Odd", "yes")]).bytes)
        while let bytes = try await connection.next() {
          try await connection.write(bytes.map { (0x61...0x7A).contains($0) ? $0 - 32 : $0 })
        }
        try await connection.write(Array("bye".utf8))
        try await connection.closeWrite()
        await connection.waitUntilPeerEnds()
      }
    })

  @Test func aConnectionLeavesHTTPForAnyProtocol() async throws {
    try await serving([Self.shouting]) { path, client in
      let connection = try await client.connect(unixSocketPath: path)
      // The first bytes of the other protocol come right behind the request.
      let head = "POST /shout/it HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhello "
      try await connection.write(Array(head.utf8))
      try await connection.write(Array("you\r\n\r\nGET".utf8))
      var seen: [UInt8] = []
      let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nX-Odd: yes\r\n\r\nHELLO YOU\r\n\r\nGET"
      while seen.count < expected.utf8.count, let bytes = try await connection.read() { seen += bytes }
      #expect(String(decoding: seen, as: UTF8.self) == expected)
      // Our end is not the end of what the server says.
      try await connection.closeWrite()
      #expect(try await rest(connection) == "bye")
      await connection.close()
    }
  }

  @Test func whoReadsLateGetsAllThatWasSaid() async throws {
    let piece = [UInt8](repeating: 0x61, count: 4 << 20)
    let (said, saying) = AsyncStream<Void>.makeStream()
    let routes = [
      Route("GET", "/long") { _ in
        ServerResponse(
          contentType: "text/plain",
          body: .stream { writer in
            try await writer.write(piece)
            saying.yield()
          })
      },
      Route(
        "GET", "/other",
        handler: .takeOver { _ in
          .stream { connection in
            try await connection.write(piece)
            saying.yield()
          }
        }),
    ]
    try await serving(routes) { path, client in
      var sayings = said.makeAsyncIterator()
      for (target, headers) in [("/long", ""), ("/other", "Connection: Upgrade\r\nUpgrade: x\r\n")] {
        let connection = try await client.connect(unixSocketPath: path)
        try await connection.write(Array("GET \(target) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n".utf8))
        await sayings.next()
        #expect(try await rest(connection).utf8.count { $0 == 0x61 } >= piece.count)
        await connection.close()
      }
    }
  }

  @Test func refusedUpgradesAreAnsweredInHTTP() async throws {
    try await serving([Self.shouting, Route("GET", "/plain") { _ in .text("plain") }]) { path, client in
      func answer(_ head: String) async throws -> String {
        let connection = try await client.connect(unixSocketPath: path)
        try await connection.write(Array("\(head)\r\nHost: x\r\n\r\n".utf8))
        let text = try await rest(connection)
        await connection.close()
        return text
      }
      let unknown = try await answer("POST /shout/other HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket")
      #expect(unknown.hasPrefix("HTTP/1.1 404 Not Found\r\n"))
      #expect(unknown.hasSuffix("nobody is called that\n"))
      let missing = try await answer("POST /shout/it HTTP/1.1\r\nConnection: close")
      #expect(missing.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
      #expect(missing.hasSuffix("Upgrade request required"))
      // An offer that the server doesn't take up; the connection ends, since nobody knows what follows on it.
      let offered = try await answer("GET /plain HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c")
      #expect(offered.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(offered.hasSuffix("plain"))
    }
  }

  @Test func namesWithSlashesAndZerosAreRefused() async throws {
    let route = Route("GET", "/pods/{name}") { .text($0.parameters["name"] ?? "") }
    try await serving([route]) { path, client in
      for (target, status) in [
        ("//pods//a%2Eb", 200), ("/pods/a%2Fb", 400), ("/pods/a%2fb", 400), ("/pods/a%00", 400), ("/pods/a/b", 404),
      ] {
        let response = try await client.execute(HTTPRequest("GET", "http://server" + target, unixSocketPath: path))
        #expect(response.status == status, "\(target)")
      }
    }
  }

  @Test func aHugeHeadIsRefused() async throws {
    var limits = HTTPServer.Limits()
    limits.head = 64 << 10
    try await serving([Route("GET", "/") { _ in .text("ok") }], limits: limits) { path, client in
      for head in [
        "GET / HTTP/1.1\r\nHost: x\r\nX-Long: \(String(repeating: "a", count: 2 << 20))\r\n\r\n",
        "GET /\(String(repeating: "a", count: 2 << 20)) HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n" + String(repeating: "X-Many: \(String(repeating: "a", count: 1000))\r\n", count: 200) + "\r\n",
      ] {
        let connection = try await client.connect(unixSocketPath: path)
        // The server stops reading at some point, so the rest may not get there.
        async let sent: Void? = try? connection.write(Array(head.utf8))
        let answer = try await rest(connection)
        await connection.close()
        _ = await sent
        #expect(answer.hasPrefix("HTTP/1.1 431 "))
      }
      let connection = try await client.connect(unixSocketPath: path)
      try await connection.write(Array("\u{16}\u{3}\u{1} hello\r\n\r\n".utf8))
      #expect(try await rest(connection).hasPrefix("HTTP/1.1 400 "))
      await connection.close()
      let response = try await client.execute(HTTPRequest("GET", "http://server/", unixSocketPath: path))
      #expect(response.status == 200)
    }
  }

  @Test func whoSaysNothingIsLeft() async throws {
    var limits = HTTPServer.Limits()
    limits.requestTimeout = .seconds(1)
    let slow = Route("GET", "/slow") { _ in
      try await Task.sleep(for: .seconds(2))
      return .text("slow")
    }
    try await serving([slow], limits: limits) { path, client in
      for head in ["", "GET / HTTP/1.1\r\nHos", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc"] {
        let connection = try await client.connect(unixSocketPath: path)
        try await connection.write(Array(head.utf8))
        #expect(try await rest(connection) == "")
        await connection.close()
      }
      // An answer may take as long as it takes.
      let response = try await client.execute(HTTPRequest("GET", "http://server/slow", unixSocketPath: path))
      #expect(response.status == 200)
    }
  }

  @Test func moreThanAThousandConnectionsAreSurvived() async throws {
    var limits = HTTPServer.Limits()
    limits.connections = 1100
    // Both ends of all connections are in this process.
    var descriptors = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
    descriptors.rlim_cur = max(descriptors.rlim_cur, min(descriptors.rlim_max, 8192))
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors)
    try await serving([Route("GET", "/") { _ in .text("ok") }], limits: limits) { path, client in
      var open: [Int32] = []
      defer { for descriptor in open { close(descriptor) } }
      for _ in 0..<1050 { open.append(try await Self.connect(path)) }
      // While the server has more to accept than fits, the client is refused by the system.
      let asked = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
      try #require(write(open[1049], asked, asked.count) == asked.count)
      await Self.waitUntilReadable(open[1049])
      let response = try await client.execute(HTTPRequest("GET", "http://server/", unixSocketPath: path))
      #expect(response.status == 200)
      // Beyond the limit, connections are closed, and those that are there are not harmed.
      for _ in 0..<100 { open.append(try await Self.connect(path)) }
      let last = try #require(open.last)
      var byte: UInt8 = 0
      #expect(read(last, &byte, 1) == 0)
      let first = open[0]
      #expect(write(first, asked, asked.count) == asked.count)
      #expect(read(first, &byte, 1) == 1)
      #expect(byte == UInt8(ascii: "H"))
    }
  }

  /// What was accepted and not looked at yet must not bring down the process.
  @Test func aServerEndsWhileConnectionsComeIn() async throws {
    for _ in 0..<20 {
      var open: [Int32] = []
      defer { for descriptor in open { close(descriptor) } }
      try await serving([Route("GET", "/") { _ in .text("ok") }]) { path, _ in
        for _ in 0..<100 { open.append(try await Self.connect(path)) }
      }
    }
  }

  /// Doesn't hold a thread while the server has more to accept than fits: the server may need it.
  private static func connect(_ path: String) async throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    try #require(descriptor >= 0)
    while true {
      let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
      }
      if result == 0 { break }
      guard errno == EAGAIN else {
        close(descriptor)
        throw POSIXFailure(code: errno)
      }
      await Task.yield()
    }
    _ = fcntl(descriptor, F_SETFL, 0)
    return descriptor
  }

  private static func waitUntilReadable(_ descriptor: Int32) async {
    var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    while poll(&wanted, 1, 0) == 0 { await Task.yield() }
  }

  @Test func aReaderThatStopsHoldsUpTheWriter() async throws {
    let written = Atomic(0)
    let (ended, tellEnded) = AsyncStream<Void>.makeStream()
    let flood = Route("GET", "/flood") { _ in
      ServerResponse(
        contentType: "text/plain",
        body: .stream { writer in
          defer { tellEnded.finish() }
          while true {
            try await writer.write([UInt8](repeating: 0x61, count: 64 << 10))
            written.add(64 << 10, ordering: .relaxed)
          }
        })
    }
    try await serving([flood]) { path, client in
      let descriptor = try await Self.connect(path)
      let request = Array("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
      #expect(write(descriptor, request, request.count) == request.count)
      var before = -1
      while before <= 0 || before != written.load(ordering: .relaxed) {
        before = written.load(ordering: .relaxed)
        try await Task.sleep(for: .milliseconds(300))
      }
      #expect(before < 8 << 20)
      close(descriptor)
    }
    for await _ in ended {}
  }

  @Test func aQuietStreamEndsWithItsReader() async throws {
    let (ended, tellEnded) = AsyncStream<Void>.makeStream()
    let quiet = Route("GET", "/quiet") { _ in
      ServerResponse(
        contentType: "text/plain",
        body: .stream { _ in
          try? await Task.sleep(for: .seconds(3600))
          tellEnded.finish()
        })
    }
    try await serving([quiet]) { path, client in
      let connection = try await client.connect(unixSocketPath: path)
      try await connection.write(Array("GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
      _ = try await connection.read()
      await connection.close()
      for await _ in ended {}
    }
  }
}
