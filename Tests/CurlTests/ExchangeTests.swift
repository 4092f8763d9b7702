import Curl
import Foundation
import Synchronization
import Testing

extension TestServer {
  func request(_ method: String, _ path: String = "/", headers: [HTTPField] = [], body: HTTPRequestBody = .none) -> HTTPRequest {
    HTTPRequest(method, url(path), headers: headers, body: body, unixSocketPath: self.path)
  }
}

extension HTTPClient {
  /// The status and the whole body as text.
  func text(_ request: HTTPRequest) async throws -> (status: Int, body: String) {
    let response = try await execute(request)
    return (response.status, String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self))
  }
}

@Suite(.timeLimit(.minutes(3)))
struct ExchangeTests {
  static let places: [TestServer.Place] = [.unix, .tcp]

  static let bodies: [(method: String, body: HTTPRequestBody, echoed: String)] = [
    ("GET", .none, "GET /x "),
    ("POST", .none, "POST /x "),
    ("DELETE", .none, "DELETE /x "),
    ("POST", .bytes(Array("hello".utf8)), "POST /x hello"),
    ("PUT", .bytes([]), "PUT /x "),
    ("PATCH", .bytes(Array("p".utf8)), "PATCH /x p"),
    ("GET", .bytes(Array("q".utf8)), "GET /x q"),
  ]

  @Test(arguments: places, bodies.indices)
  func methodsAndBodies(place: TestServer.Place, index: Int) async throws {
    let (method, body, echoed) = Self.bodies[index]
    let server = try TestServer.echo(place)
    defer { server.stop() }
    let client = HTTPClient()
    let reply = try await client.text(server.request(method, "/x", body: body))
    #expect(reply.status == 200)
    #expect(reply.body == echoed)
    await client.shutdown()
  }

  @Test func headLooksAsAsked() async throws {
    let seen = Mutex<[TestServer.Request]>([])
    let server = try TestServer(.unix) { connection in
      while let request = connection.readRequest() {
        seen.withLock { $0.append(request) }
        connection.reply("", headers: "X-One: 1\r\nX-Two:  two words \r\nX-One: again\r\n")
      }
    }
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(
      server.request(
        "POST", "/a/../b?c=d", headers: [HTTPField("X-A", "1"), HTTPField("X-A", "2"), HTTPField("X-Empty", "")], body: .bytes([65])))
    #expect(response.header("x-two") == "two words")
    #expect(response.headers.filter { $0.name == "X-One" }.map(\.value) == ["1", "again"])
    _ = try await response.body.collect(upTo: 0)
    let request = try #require(seen.withLock { $0.first })
    #expect(request.path == "/a/../b?c=d")
    #expect(
      request.headers.map { "\($0.name): \($0.value)" }.sorted() == [
        "Content-Length: 1", "Host: localhost", "X-A: 1", "X-A: 2", "X-Empty: ",
      ])
    await client.shutdown()
  }

  @Test func headRequestHasNoBody() async throws {
    let server = try TestServer(.unix) { connection in
      while connection.readRequest() != nil { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n") }
    }
    defer { server.stop() }
    let client = HTTPClient()
    let reply = try await client.text(server.request("HEAD"))
    #expect(reply.status == 200)
    #expect(reply.body == "")
    await client.shutdown()
  }

  @Test func informationalHeadsAreSkippedAndTrailersKept() async throws {
    let server = try TestServer(.unix) { connection in
      while connection.readRequest() != nil {
        connection.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.writeChunk(Array("abc".utf8))
        connection.write("0\r\nX-Sum: 7\r\nX-Other: b\r\n\r\n")
      }
    }
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET"))
    #expect(response.status == 200)
    #expect(response.header("Link") == nil)
    #expect(try await response.body.collect(upTo: 10) == Array("abc".utf8))
    #expect(response.body.trailers == [HTTPField("X-Sum", "7"), HTTPField("X-Other", "b")])
    await client.shutdown()
  }

  @Test func headArrivesBeforeTheBody() async throws {
    let gate = Gate()
    let server = try TestServer(.unix) { connection in
      while connection.readRequest() != nil {
        connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        gate.waitBlocking()
        for text in ["one", "two"] { connection.writeChunk(Array(text.utf8)) }
        connection.write("0\r\n\r\n")
      }
    }
    defer { server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(server.request("GET"))
    #expect(response.body.trailers.isEmpty)
    gate.open()
    var all: [UInt8] = []
    for try await chunk in response.body {
      #expect(!chunk.isEmpty)
      all += chunk
    }
    #expect(all == Array("onetwo".utf8))
    await client.shutdown()
  }

  @Test(arguments: places)
  func sequentialRequestsShareAConnection(place: TestServer.Place) async throws {
    let server = try TestServer.echo(place)
    defer { server.stop() }
    let client = HTTPClient()
    for index in 0..<20 { #expect(try await client.text(server.request("GET", "/\(index)")).body == "GET /\(index) ") }
    #expect(server.accepted == 1)
    var isolated = server.request("GET", "/isolated")
    isolated.isolatesConnection = true
    for _ in 0..<3 { #expect(try await client.text(isolated).status == 200) }
    #expect(server.accepted == 4)
    #expect(try await client.text(server.request("GET", "/last")).status == 200)
    #expect(server.accepted == 4)
    await client.shutdown()
  }

  @Test func socketsWithTheSameHostStayApart() async throws {
    let servers = try (0..<3).map { index in
      try TestServer(.unix) { connection in
        while connection.readRequest() != nil { connection.reply("server \(index)") }
      }
    }
    defer { for server in servers { server.stop() } }
    let client = HTTPClient()
    for _ in 0..<3 {
      for (index, server) in servers.enumerated() { #expect(try await client.text(server.request("GET")).body == "server \(index)") }
    }
    #expect(servers.map(\.accepted) == [1, 1, 1])
    await client.shutdown()
  }

  @Test func aConnectionThatTheServerClosedIsReplaced() async throws {
    let server = try TestServer(.unix) { connection in
      if connection.readRequest() != nil { connection.reply("once") }
    }
    defer { server.stop() }
    let client = HTTPClient()
    var departures = server.departures.makeAsyncIterator()
    for _ in 0..<3 {
      #expect(try await client.text(server.request("GET")).body == "once")
      _ = await departures.next()
    }
    #expect(server.accepted == 3)
    await client.shutdown()
  }

  @Test func manyAtOnce() async throws {
    let server = try TestServer.echo(.unix)
    defer { server.stop() }
    let client = HTTPClient()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<60 {
        group.addTask {
          for round in 0..<10 {
            let reply = try await client.text(server.request("POST", "/\(index)", body: .bytes(Array("\(round)".utf8))))
            #expect(reply.body == "POST /\(index) \(round)")
          }
        }
      }
      try await group.waitForAll()
    }
    await client.shutdown()
  }

  @Test func streamedRequestBody() async throws {
    let server = try TestServer.echo(.unix)
    defer { server.stop() }
    let client = HTTPClient()
    let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
    async let reply = client.text(server.request("POST", "/s", body: .stream(stream)))
    for word in ["a", "bc", "def"] {
      continuation.yield(Array(word.utf8))
      for _ in 0..<50 { await Task.yield() }
    }
    continuation.finish()
    #expect(try await reply.body == "POST /s abcdef")

    let length = AsyncStream<[UInt8]> { continuation in
      continuation.yield(Array("12".utf8))
      continuation.yield(Array("345".utf8))
      continuation.finish()
    }
    let sized = server.request("PUT", "/s", headers: [HTTPField("Content-Length", "5")], body: .stream(length))
    #expect(try await client.text(sized).body == "PUT /s 12345")

    let (big, bigger) = AsyncStream<[UInt8]>.makeStream()
    for _ in 0..<64 { bigger.yield([UInt8](repeating: 0x61, count: 10_000)) }
    bigger.finish()
    #expect(try await client.text(server.request("POST", "/b", body: .stream(big))).body.utf8.count == 640_000 + 8)
    await client.shutdown()
  }

  @Test func largeBodies() async throws {
    let server = try TestServer(.unix) { connection in
      while let request = connection.readRequest() { connection.reply(String(decoding: request.body, as: UTF8.self)) }
    }
    defer { server.stop() }
    let client = HTTPClient()
    let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: 97 + $0 % 26) }
    let response = try await client.execute(server.request("POST", body: .bytes(body)))
    #expect(try await response.body.collect(upTo: 3_000_000) == body)
    await client.shutdown()
  }
}
