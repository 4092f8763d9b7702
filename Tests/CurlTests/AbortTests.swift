import Curl
import Foundation
import Glibc
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(3)))
struct AbortTests {
  /// Sends an endless body; counts what the client's side has taken.
  static func endless(_ sent: Counter) throws -> TestServer {
    try TestServer(.unix) { connection in
      guard connection.readRequest() != nil else { return }
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      let chunk = [UInt8](repeating: 0x2E, count: 32_768)
      while connection.writeChunk(chunk) { sent.add(chunk.count) }
    }
  }

  @Test func droppingTheBodyClosesTheConnection() async throws {
    let server = try Self.endless(Counter())
    defer { server.stop() }
    let client = HTTPClient()
    var departures = server.departures.makeAsyncIterator()
    do {
      let response = try await client.execute(server.request("GET"))
      var iterator = response.body.makeAsyncIterator()
      #expect(try await iterator.next() != nil)
    }
    _ = await departures.next()
    await client.shutdown()
  }

  @Test func cancellingTheReaderClosesTheConnection() async throws {
    let server = try TestServer(.unix) { connection in
      guard connection.readRequest() != nil else { return }
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      while connection.readSome() != nil {}
    }
    defer { server.stop() }
    let client = HTTPClient()
    let (reading, started) = AsyncStream<Void>.makeStream()
    let task = Task {
      let response = try await client.execute(server.request("GET"))
      started.yield()
      for try await _ in response.body {}
    }
    for await _ in reading { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    for await _ in server.departures { break }
    await client.shutdown()
  }

  @Test func cancellingTheRequestClosesTheConnection() async throws {
    let (requests, arrived) = AsyncStream<Void>.makeStream()
    let server = try TestServer(.unix) { connection in
      guard connection.readRequest() != nil else { return }
      arrived.yield()
      while connection.readSome() != nil {}
    }
    defer { server.stop() }
    let client = HTTPClient()
    let task = Task { try await client.execute(server.request("GET")) }
    for await _ in requests { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { _ = try await task.value }
    for await _ in server.departures { break }
    let cancelledBefore = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      _ = try await client.execute(server.request("GET"))
    }
    await #expect(throws: CancellationError.self) { try await cancelledBefore.value }
    await client.shutdown()
  }

  @Test func aSleepingReaderHoldsTheServerBack() async throws {
    let sent = Counter()
    let server = try Self.endless(sent)
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET"))
    // The server stands still when its count stays the same over many other exchanges.
    let other = try TestServer.echo(.unix)
    defer { other.stop() }
    var last = -1
    while sent.value != last {
      last = sent.value
      for _ in 0..<200 { _ = try await client.text(other.request("GET")) }
    }
    #expect(sent.value < 4 << 20)
    #expect(sent.value > 64 << 10)
    // Reading lets it go on.
    var iterator = response.body.makeAsyncIterator()
    var received = 0
    while received < 8 << 20 {
      let chunk = try #require(try await iterator.next())
      #expect(chunk.count <= (256 << 10) + 16_384)
      received += chunk.count
    }
    await client.shutdown()
  }

  @Test func bodyTooLarge() async throws {
    let server = try Self.endless(Counter())
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET"))
    let error = await #expect(throws: HTTPError.self) { _ = try await response.body.collect(upTo: 100_000) }
    #expect(error?.kind == .bodyTooLarge(limit: 100_000))
    for await _ in server.departures { break }
    await client.shutdown()
  }

  @Test func timeouts() async throws {
    let server = try TestServer(.unix) { connection in
      guard let request = connection.readRequest() else { return }
      if request.path == "/body" { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345") }
      while connection.readSome() != nil {}
    }
    defer { server.stop() }
    let client = HTTPClient()
    var request = server.request("GET", "/head")
    request.timeout = .milliseconds(100)
    var error = await #expect(throws: HTTPError.self) { _ = try await client.execute(request) }
    #expect(error?.kind == .timedOut)
    #expect(error?.unixSocketPath == server.path)

    request = server.request("GET", "/body")
    request.timeout = .milliseconds(300)
    let response = try await client.execute(request)
    error = await #expect(throws: HTTPError.self) { _ = try await response.body.collect(upTo: 100) }
    #expect(error?.kind == .timedOut)
    await client.shutdown()
  }

  @Test func connectTimeout() async throws {
    // A listener whose backlog is full answers no handshake.
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        _ = bind(listener, pointer, length)
        getsockname(listener, pointer, &length)
      }
    }
    listen(listener, 0)
    var fillers: [Int32] = []
    for _ in 0..<4 {
      let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
      _ = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(filler, $0, length) }
      }
      fillers.append(filler)
    }
    defer { for filler in fillers { close(filler) } }
    let client = HTTPClient()
    var timed = HTTPRequest("GET", "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))/")
    timed.connectTimeout = .milliseconds(200)
    let request = timed
    let error = await #expect(throws: HTTPError.self) { _ = try await client.execute(request) }
    #expect(error?.kind == .timedOut)
    await client.shutdown()
  }

  static let broken: [(reply: String, kind: HTTPError.Kind)] = [
    ("", .connectionLost),
    ("HTTP/1.1 200 OK\r\nContent-Le", .connectionLost),
    ("SSH-2.0-OpenSSH_9.2\r\n", .invalidResponse),
  ]

  @Test(arguments: broken.indices)
  func brokenReplies(index: Int) async throws {
    let server = try TestServer(.unix) { connection in
      _ = connection.readRequest()
      connection.write(Self.broken[index].reply)
    }
    defer { server.stop() }
    let client = HTTPClient()
    let error = await #expect(throws: HTTPError.self) { _ = try await client.execute(server.request("GET")) }
    #expect(error?.kind == Self.broken[index].kind, "\(error.map { "\($0)" } ?? "")")
    await client.shutdown()
  }

  @Test func aBodyThatBreaksOffGivesItsBytesFirst() async throws {
    let server = try TestServer(.unix) { connection in
      _ = connection.readRequest()
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    }
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET"))
    var iterator = response.body.makeAsyncIterator()
    var received: [UInt8] = []
    let error = await #expect(throws: HTTPError.self) {
      while let chunk = try await iterator.next() { received += chunk }
    }
    #expect(received == Array("12345".utf8))
    #expect(error?.kind == .connectionLost)
    await client.shutdown()
  }

  @Test(arguments: [("GET", 2), ("PUT", 2), ("POST", 1), ("PATCH", 1)])
  func onlyRepeatableRequestsAreSentAgain(method: String, times: Int) async throws {
    let seen = Counter()
    let server = try TestServer(.unix) { connection in
      while let request = connection.readRequest() {
        if request.path == "/fragile" {
          seen.add(1)
          if seen.value == 1 { return }
        }
        connection.reply("")
      }
    }
    defer { server.stop() }
    let client = HTTPClient()
    _ = try await client.text(server.request("GET"))
    let request = server.request(method, "/fragile", body: .bytes([65]))
    if times == 1 {
      let error = await #expect(throws: HTTPError.self) { _ = try await client.execute(request) }
      #expect(error?.kind == .connectionLost)
    } else {
      #expect(try await client.execute(request).status == 200)
    }
    #expect(seen.value == times)
    await client.shutdown()
  }

  @Test func nobodyThere() async throws {
    let client = HTTPClient()
    var error = await #expect(throws: HTTPError.self) {
      _ = try await client.execute(HTTPRequest("GET", "http://user:secret@localhost/a?token=secret", unixSocketPath: "/nonexistent/x.sock"))
    }
    #expect(error?.kind == .couldNotConnect)
    #expect(error?.description == "GET http://localhost/a over /nonexistent/x.sock: could not connect: No such file or directory")

    let server = try TestServer.echo(.tcp)
    server.stop()
    error = await #expect(throws: HTTPError.self) {
      // Until the listener has gone.
      while true { _ = try await client.execute(server.request("GET")) }
    }
    #expect(error?.kind == .couldNotConnect || error?.kind == .connectionLost)

    error = await #expect(throws: HTTPError.self) { _ = try await client.execute(HTTPRequest("GET", "http://no-such-host.invalid/")) }
    #expect(error?.kind == .couldNotConnect)
    await client.shutdown()
  }

  static let invalid: [HTTPRequest] = [
    HTTPRequest("GET", "ftp://localhost/"), HTTPRequest("GET", "/path"), HTTPRequest("GET", "http://localhost/a b"),
    HTTPRequest("GE T", "http://localhost/"), HTTPRequest("", "http://localhost/"),
    HTTPRequest("GET", "http://localhost/\r\nX: y"), HTTPRequest("GET", "http://localhost/", headers: [HTTPField("A", "b\r\nC: d")]),
    HTTPRequest("GET", "http://localhost/", headers: [HTTPField("A:", "b")]),
    HTTPRequest("GET", "http://localhost/", unixSocketPath: String(repeating: "x", count: 108)),
  ]

  @Test(arguments: invalid.indices)
  func invalidRequests(index: Int) async throws {
    let client = HTTPClient()
    let error = await #expect(throws: HTTPError.self) { _ = try await client.execute(Self.invalid[index]) }
    #expect(error?.kind == .invalidRequest)
    await client.shutdown()
  }

  @Test func shutdownFailsWhatRuns() async throws {
    let (requests, arrived) = AsyncStream<Void>.makeStream()
    let server = try TestServer(.unix) { connection in
      guard let request = connection.readRequest() else { return }
      if request.path == "/body" { connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") }
      arrived.yield()
      while connection.readSome() != nil {}
    }
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET", "/body"))
    let connection = try await client.connect(unixSocketPath: try #require(server.path))
    let tasks = (0..<5).map { _ in Task { _ = try await client.execute(server.request("GET", "/head")) } }
    let reader = Task { try await response.body.collect(upTo: 10) }
    let raw = Task { try await connection.read() }
    var count = 0
    for await _ in requests {
      count += 1
      if count == 6 { break }
    }
    await client.shutdown()
    for task in tasks {
      let error = await #expect(throws: HTTPError.self) { try await task.value }
      #expect(error?.kind == .clientShutdown)
    }
    var error = await #expect(throws: HTTPError.self) { _ = try await reader.value }
    #expect(error?.kind == .clientShutdown)
    error = await #expect(throws: HTTPError.self) { _ = try await raw.value }
    #expect(error?.kind == .clientShutdown)
    error = await #expect(throws: HTTPError.self) { _ = try await client.execute(server.request("GET")) }
    #expect(error?.kind == .clientShutdown)
    await connection.close()
    await client.shutdown()
  }
}

final class Counter: Sendable {
  private let count = Mutex(0)
  var value: Int { count.withLock { $0 } }
  func add(_ amount: Int) { count.withLock { $0 += amount } }
}
