import Curl
import HTTPServer
import LocalAPI
import Logging
import NIOPosix
import Testing

@Suite struct HTTPServerTests {
  /// Serves the routes on a socket of its own while `body` runs.
  private func serving(_ routes: [Route], _ body: (String, HTTPClient) async throws -> Void) async throws {
    let path = "/tmp/edgecore-http-\(UInt64.random(in: 0...UInt64.max)).sock"
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = HTTPServer(address: .unixSocket(path: path), routes: routes, group: group, logger: Logger(label: "test"))
    let client = HTTPClient()
    let (listening, started) = AsyncStream<Void>.makeStream()
    let serving = Task { try await server.run { _ in started.finish() } }
    for await _ in listening {}
    do {
      try await body(path, client)
    } catch {
      serving.cancel()
      throw error
    }
    serving.cancel()
    _ = await serving.result
    await client.shutdown()
    try await group.shutdownGracefully()
  }

  private func get(_ target: String, _ path: String, _ client: HTTPClient, method: String = "GET") async throws -> Answer {
    let response = try await client.execute(HTTPRequest(method, "http://server" + target, unixSocketPath: path))
    return Answer(status: response.status, text: String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self))
  }

  private struct Answer: Equatable {
    var status: Int
    var text: String
  }

  @Test func routesGetTheirParametersAndQueries() async throws {
    let route = Route("GET", "/pods/{namespace}/{name}") { request in
      .text("\(request.parameters["namespace"] ?? "") \(request.parameters["name"] ?? "") \(request.queryValues("command"))")
    }
    try await serving([route]) { path, client in
      let found = try await get("/pods/a%20b/web?command=ls&command=-l+x%2F", path, client)
      #expect(found == Answer(status: 200, text: "a b web [\"ls\", \"-l x/\"]"))
      let unknown = try await get("/nowhere", path, client)
      #expect(unknown.status == 404)
      let refused = try await get("/pods/a/b", path, client, method: "DELETE")
      #expect(refused.status == 405)
      #expect(refused.text.contains("allowed: GET"))
    }
  }

  @Test func errorsBecomeStatuses() async throws {
    struct Broken: Error, CustomStringConvertible { var description: String { "broken inside" } }
    let routes = [
      Route("GET", "/refused") { _ in throw ServerError.badRequest("tail: \"x\" is not allowed") },
      Route("GET", "/broken") { _ in throw Broken() },
    ]
    try await serving(routes) { path, client in
      let refused = try await get("/refused", path, client)
      #expect(refused == Answer(status: 400, text: "tail: \"x\" is not allowed\n"))
      let broken = try await get("/broken", path, client)
      #expect(broken == Answer(status: 500, text: "broken inside\n"))
    }
  }

  @Test func aStreamArrivesChunkByChunkAndEndsWithItsReader() async throws {
    let (ended, tellEnded) = AsyncStream<Void>.makeStream()
    let route = Route("GET", "/stream") { _ in
      ServerResponse(
        contentType: "text/plain",
        body: .stream { writer in
          defer { tellEnded.finish() }
          while true {
            try await writer.write(Array("tick\n".utf8))
            try await Task.sleep(for: .milliseconds(5))
          }
        })
    }
    try await serving([route]) { path, client in
      let response = try await client.execute(HTTPRequest("GET", "http://server/stream", unixSocketPath: path))
      var seen = 0
      for try await chunk in response.body {
        seen += chunk.count
        if seen >= 15 { break }
      }
    }
    for await _ in ended {}
  }

  @Test func anUpgradeBecomesAStreamOfBytes() async throws {
    let route = Route.upgrade("GET", "/echo") { _, connection in
      var decoder = StreamFrameDecoder()
      try await connection.read { bytes in
        for frame in try decoder.add(bytes) {
          try await connection.write(StreamFrame(frame.payload.isEmpty ? .exited : .stdout, frame.payload).bytes)
        }
      }
    }
    try await serving([route]) { path, client in
      var request = HTTPRequest("GET", "http://server/echo", unixSocketPath: path)
      request.headers = [HTTPField("Upgrade", HTTPServer.streamProtocol)]
      let connection = try await client.upgrade(request).connection
      try await connection.write(StreamFrame(.stdin, Array("hello".utf8)).bytes)
      try await connection.write(StreamFrame(.stdin, []).bytes)
      var decoder = StreamFrameDecoder()
      var frames: [StreamFrame] = []
      while frames.last?.kind != .exited, let bytes = try await connection.read() { frames += try decoder.add(bytes) }
      #expect(frames == [StreamFrame(.stdout, Array("hello".utf8)), StreamFrame(.exited, [])])
      await connection.close()
      let plain = try await get("/echo", path, client)
      #expect(plain.status == 426)
    }
  }

  @Test func framesSurviveAnyCut() throws {
    let frames = [StreamFrame(.stdin, [1, 2, 3]), .resize(columns: 120, rows: 40), StreamFrame(.failed, Array("no".utf8))]
    let bytes = frames.flatMap(\.bytes)
    for size in 1...bytes.count {
      var decoder = StreamFrameDecoder()
      var decoded: [StreamFrame] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        decoded += try decoder.add(Array(bytes[start..<min(start + size, bytes.count)]))
      }
      #expect(decoded == frames)
    }
    #expect(frames[1].size?.columns == 120)
    var decoder = StreamFrameDecoder()
    #expect(throws: StreamFrameError.self) { try decoder.add([9, 0, 0, 0, 0]) }
    var other = StreamFrameDecoder()
    #expect(throws: StreamFrameError.self) { try other.add([0, 0xFF, 0, 0, 0]) }
  }
}
