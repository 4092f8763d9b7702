import Curl
import Foundation
import Testing

@Suite(.timeLimit(.minutes(3)))
struct RawConnectionTests {
  /// Sends back what it reads, says goodbye after the client's half close.
  static func mirror(_ place: TestServer.Place) throws -> TestServer {
    try TestServer(place) { connection in
      while let bytes = connection.readSome() { connection.write(bytes) }
      connection.write("bye")
    }
  }

  static func rest(_ connection: RawConnection) async throws -> [UInt8] {
    var all: [UInt8] = []
    while let bytes = try await connection.read() { all += bytes }
    return all
  }

  @Test(arguments: ExchangeTests.places)
  func bothWaysAndHalfClose(place: TestServer.Place) async throws {
    let server = try Self.mirror(place)
    defer { server.stop() }
    let client = HTTPClient()
    let connection: RawConnection
    if let path = server.path {
      connection = try await client.connect(unixSocketPath: path)
    } else {
      connection = try await client.connect(host: "127.0.0.1", port: server.port)
    }
    try await connection.write(Array("ping".utf8))
    #expect(try await connection.read() == Array("ping".utf8))
    let big = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    async let reading = Self.rest(connection)
    try await connection.write(big)
    try await connection.closeWrite()
    #expect(try await reading == big + Array("bye".utf8))
    #expect(try await connection.read() == nil)
    await #expect(throws: HTTPError.self) { try await connection.write([1]) }
    await connection.close()
    await client.shutdown()
  }

  @Test func droppingClosesAndCancelledReadsLoseNothing() async throws {
    let server = try Self.mirror(.unix)
    defer { server.stop() }
    let client = HTTPClient()
    do {
      let connection = try await client.connect(unixSocketPath: try #require(server.path))
      let read = Task { try await connection.read() }
      read.cancel()
      await #expect(throws: CancellationError.self) { _ = try await read.value }
      try await connection.write(Array("x".utf8))
      #expect(try await connection.read() == Array("x".utf8))
    }
    for await _ in server.departures { break }
    await client.shutdown()
  }

  @Test func closeWakesAReader() async throws {
    let server = try Self.mirror(.unix)
    defer { server.stop() }
    let client = HTTPClient()
    let connection = try await client.connect(unixSocketPath: try #require(server.path))
    let read = Task { try await connection.read() }
    await connection.close()
    await #expect(throws: HTTPError.self) { _ = try await read.value }
    for await _ in server.departures { break }
    await client.shutdown()
  }

  @Test func aSleepingReaderHoldsThePeerBack() async throws {
    let sent = Counter()
    let server = try TestServer(.unix) { connection in
      let bytes = [UInt8](repeating: 1, count: 65_536)
      while connection.write(bytes) { sent.add(bytes.count) }
    }
    defer { server.stop() }
    let other = try TestServer.echo(.unix)
    defer { other.stop() }
    let client = HTTPClient()
    let connection = try await client.connect(unixSocketPath: try #require(server.path))
    var last = -1
    while sent.value != last || last == 0 {
      last = sent.value
      for _ in 0..<200 { _ = try await client.text(other.request("GET")) }
    }
    #expect(sent.value < 4 << 20)
    var received = 0
    while received < 8 << 20 { received += try #require(try await connection.read()).count }
    await client.shutdown()
  }

  @Test func aWriteCancelledHalfwayEndsTheConnection() async throws {
    let (starts, started) = AsyncStream<Void>.makeStream()
    let server = try TestServer(.unix) { connection in
      // Reads a little, then only waits for the client to go.
      guard connection.readSome() != nil else { return }
      started.yield()
      var hangUp = pollfd(fd: connection.fd, events: 0, revents: 0)
      poll(&hangUp, 1, -1)
    }
    defer { server.stop() }
    let client = HTTPClient()
    let connection = try await client.connect(unixSocketPath: try #require(server.path))
    let write = Task { try await connection.write([UInt8](repeating: 2, count: 8 << 20)) }
    for await _ in starts { break }
    write.cancel()
    await #expect(throws: CancellationError.self) { try await write.value }
    for await _ in server.departures { break }
    await #expect(throws: CancellationError.self) { try await connection.write([1]) }
    await client.shutdown()
  }

  @Test func refused() async throws {
    let client = HTTPClient()
    let error = await #expect(throws: HTTPError.self) { _ = try await client.connect(unixSocketPath: "/nonexistent.sock") }
    #expect(error?.kind == .couldNotConnect)
    await client.shutdown()
  }

  @Test(arguments: ["101 UPGRADED", "200 OK"])
  func upgrade(status: String) async throws {
    let server = try TestServer(.unix) { connection in
      guard let request = connection.readRequest() else { return }
      let asked = request.header("Connection") == "Upgrade" && request.header("Upgrade") == "tcp"
      connection.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 \(status)\r\nX-Asked: \(asked)\r\nX-Body: \(request.body.count)\r\n\r\nearly")
      while let bytes = connection.readSome() { connection.write(bytes) }
    }
    defer { server.stop() }
    let client = HTTPClient()
    var request = server.request("POST", "/exec/1/start?x=1", body: .bytes(Array("{}".utf8)))
    request.timeout = .seconds(60)
    let upgrade = try await client.upgrade(request)
    #expect("\(upgrade.status)" == status.prefix(3))
    #expect(upgrade.header("x-asked") == "true")
    #expect(upgrade.header("x-body") == "2")
    #expect(try await upgrade.connection.read() == Array("early".utf8))
    try await upgrade.connection.write(Array("late".utf8))
    try await upgrade.connection.closeWrite()
    #expect(try await Self.rest(upgrade.connection) == Array("late".utf8))
    await client.shutdown()
  }

  static let refusals: [(reply: String, status: Int, body: String)] = [
    ("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\ngone!and more", 404, "gone!"),
    ("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 500, "abcde"),
    ("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", 409, ""),
    ("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nhi", 302, "hi"),
  ]

  @Test(arguments: refusals.indices)
  func upgradeRefused(index: Int) async throws {
    let (reply, status, body) = Self.refusals[index]
    let server = try TestServer(.unix) { connection in
      guard connection.readRequest() != nil else { return }
      connection.write(reply)
      while connection.readSome() != nil {}
    }
    defer { server.stop() }
    let client = HTTPClient()
    let error = await #expect(throws: HTTPError.self) { _ = try await client.upgrade(server.request("POST")) }
    #expect(error?.kind == .upgradeRefused(status: status, body: body))
    for await _ in server.departures { break }
    await client.shutdown()
  }

  @Test func upgradeWithoutAReply() async throws {
    let server = try TestServer(.unix) { connection in
      guard let request = connection.readRequest() else { return }
      switch request.path {
      case "/silent": while connection.readSome() != nil {}
      case "/nonsense": connection.write("SSH-2.0\r\n")
      case "/endless": while connection.write("HTTP/1.1 101 OK\r\nX: \(String(repeating: "x", count: 1000))\r\n") {}
      default: break
      }
    }
    defer { server.stop() }
    let client = HTTPClient()
    var silent = server.request("GET", "/silent")
    silent.timeout = .milliseconds(100)
    for (request, kind) in [
      (silent, HTTPError.Kind.timedOut), (server.request("GET", "/nonsense"), .invalidResponse),
      (server.request("GET", "/endless"), .invalidResponse), (server.request("GET", "/gone"), .connectionLost),
    ] {
      let error = await #expect(throws: HTTPError.self) { _ = try await client.upgrade(request) }
      #expect(error?.kind == kind)
    }
    await client.shutdown()
  }
}
