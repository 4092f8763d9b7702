import Curl
import Foundation
import Synchronization
import Testing

extension H2Server {
  func request(_ body: HTTPRequestBody = .bytes([0, 0, 0, 0, 0])) -> HTTPRequest {
    HTTPRequest("POST", "http://localhost/a.B/C", body: body, unixSocketPath: server.path, version: .http2PriorKnowledge)
  }
}

@Suite(.timeLimit(.minutes(3)))
struct MultiplexTests {
  @Test func headBodyAndTrailers() async throws {
    let peer = try H2Server { session in
      while let frame = session.next() {
        guard frame.endsStream else { continue }
        session.head(frame.stream, [("content-type", "application/grpc")])
        session.data(frame.stream, [1, 2, 3])
        session.trailers(frame.stream, [("grpc-status", "0"), ("grpc-message", "fine")])
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    for _ in 0..<10 {
      let response = try await client.execute(peer.request())
      #expect(response.status == 200)
      #expect(response.header("Content-Type") == "application/grpc")
      #expect(try await response.body.collect(upTo: 10) == [1, 2, 3])
      #expect(response.body.trailers == [HTTPField("grpc-status", "0"), HTTPField("grpc-message", "fine")])
    }
    #expect(peer.sessions == 1)
    await client.shutdown()
  }

  @Test func connectionsThatThePeerClosedAreReplacedByOne() async throws {
    let (rounds, ended) = AsyncStream<Gate>.makeStream()
    let peer = try H2Server { session in
      var answers = 0
      while answers < 10, let frame = session.next() {
        guard frame.endsStream else { continue }
        session.head(frame.stream)
        session.data(frame.stream, [1], ends: true)
        answers += 1
      }
      let gate = Gate()
      ended.yield(gate)
      gate.waitBlocking()
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    var departures = peer.server.departures.makeAsyncIterator()
    var gates = rounds.makeAsyncIterator()
    for round in 1...4 {
      // All at once on one connection, which ends after the tenth answer.
      try await withThrowingTaskGroup(of: [UInt8].self) { group in
        for _ in 0..<10 {
          group.addTask {
            while true {
              do {
                return try await client.execute(peer.request()).body.collect(upTo: 1)
              } catch let error as HTTPError where error.kind == .connectionLost {
                // It was sent just as the connection ended. What must not be sent twice is the caller's to repeat.
              }
            }
          }
        }
        for try await body in group { #expect(body == [1]) }
      }
      await gates.next()?.open()
      _ = await departures.next()
      // Attempts that give way before anything is sent are connections without a preface.
      #expect(peer.sessions == round)
    }
    await client.shutdown()
  }

  @Test func socketsAndVersionsWithTheSameHostStayApart() async throws {
    let plain = try TestServer.echo(.unix)
    defer { plain.stop() }
    let peers = try (1...2).map { number in
      try H2Server { session in
        while let frame = session.next() {
          guard frame.endsStream else { continue }
          session.head(frame.stream)
          session.data(frame.stream, [UInt8(number)], ends: true)
        }
      }
    }
    defer { for peer in peers { peer.server.stop() } }
    let client = HTTPClient()
    for _ in 0..<3 {
      #expect(try await client.text(plain.request("GET")).body == "GET / ")
      for (index, peer) in peers.enumerated() {
        #expect(try await client.execute(peer.request()).body.collect(upTo: 1) == [UInt8(index + 1)])
      }
    }
    var isolated = peers[0].request()
    isolated.isolatesConnection = true
    for _ in 0..<2 { #expect(try await client.execute(isolated).body.collect(upTo: 1) == [1]) }
    #expect(try await client.execute(peers[0].request()).body.collect(upTo: 1) == [1])
    #expect(peers.map(\.sessions) == [3, 1])
    #expect(plain.accepted == 1)
    await client.shutdown()
  }

  @Test func trailersOnly() async throws {
    let peer = try H2Server { session in
      while let frame = session.next() {
        guard frame.endsStream else { continue }
        session.send(.init(.headers, flags: 5, stream: frame.stream, H2Server.Session.fields([("grpc-status", "12")])))
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    let response = try await client.execute(peer.request())
    #expect(response.header("grpc-status") == "12")
    #expect(try await response.body.collect(upTo: 0).isEmpty)
    #expect(response.body.trailers.isEmpty)
    await client.shutdown()
  }

  @Test func droppingABodyResetsItsStreamOnly() async throws {
    let (resets, reset) = AsyncStream<Int>.makeStream()
    let peer = try H2Server { session in
      while let frame = session.next() {
        if frame.isA(.reset) { reset.yield(frame.stream) }
        guard frame.endsStream else { continue }
        session.head(frame.stream)
        // Streams 1 and 3 stay open.
        session.data(frame.stream, [9], ends: frame.stream > 3)
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    do {
      let kept = try await client.execute(peer.request())
      var iterator = kept.body.makeAsyncIterator()
      #expect(try await iterator.next() == [9])
      do {
        let dropped = try await client.execute(peer.request())
        var iterator = dropped.body.makeAsyncIterator()
        #expect(try await iterator.next() == [9])
      }
      for await stream in resets {
        #expect(stream == 3)
        break
      }
      let other = try await client.execute(peer.request())
      #expect(try await other.body.collect(upTo: 1) == [9])
      #expect(peer.sessions == 1)
      withExtendedLifetime(kept) {}
    }
    // The last stream takes the connection along.
    for await _ in peer.server.departures { break }
    let other = try await client.execute(peer.request())
    var iterator = other.body.makeAsyncIterator()
    #expect(try await iterator.next() == [9])
    #expect(peer.sessions == 2)
    await client.shutdown()
  }

  @Test func aReaderThatSleepsDoesNotStallItsSiblings() async throws {
    let size = 8 << 20
    let peer = try H2Server { session in
      while let frame = session.next() {
        guard frame.endsStream else { continue }
        session.head(frame.stream)
        if frame.stream == 1 {
          let piece = [UInt8](repeating: 5, count: 16_384)
          for index in 0..<(size / piece.count) { session.data(1, piece, ends: index == size / piece.count - 1) }
        } else {
          session.data(frame.stream, [1], ends: true)
        }
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    let sleeping = try await client.execute(peer.request())
    for _ in 0..<200 {
      let response = try await client.execute(peer.request())
      #expect(try await response.body.collect(upTo: 1) == [1])
    }
    #expect(try await sleeping.body.collect(upTo: size).count == size)
    #expect(peer.sessions == 1)
    await client.shutdown()
  }

  @Test func cancellingABusyStreamLetsItsSiblingsGoOn() async throws {
    let peer = try H2Server { session in
      var streams: [Int] = []
      while let frame = session.next() {
        guard frame.endsStream else { continue }
        session.head(frame.stream)
        // The first one stays open and keeps the connection.
        guard frame.stream > 1 else { continue }
        streams.append(frame.stream)
        guard streams.count.isMultiple(of: 2) else { continue }
        // One write with a lot for the first stream, and the second one's answer behind it.
        let busy = streams[streams.count - 2]
        var bytes: [UInt8] = []
        for _ in 0..<8 { bytes += H2Server.Frame(.data, stream: busy, [UInt8](repeating: 1, count: 10_000)).bytes }
        bytes += H2Server.Frame(.data, flags: 1, stream: frame.stream, [2]).bytes
        session.connection.write(bytes)
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    let keeper = try await client.execute(peer.request())
    for _ in 0..<50 {
      let busy = try await client.execute(peer.request())
      let first = Task {
        var iterator = busy.body.makeAsyncIterator()
        _ = try await iterator.next()
      }
      let response = try await client.execute(peer.request())
      first.cancel()
      #expect(try await response.body.collect(upTo: 1) == [2])
    }
    #expect(peer.sessions == 1)
    withExtendedLifetime(keeper) {}
    await client.shutdown()
  }

  @Test func streamedRequestBody() async throws {
    let peer = try H2Server { session in
      var received: [Int: [UInt8]] = [:]
      while let frame = session.next() {
        if frame.isA(.headers) { session.head(frame.stream) }
        if frame.isA(.data) { received[frame.stream, default: []] += frame.payload }
        if frame.isA(.data) && !frame.payload.isEmpty { session.data(frame.stream, frame.payload) }
        if frame.endsStream { session.data(frame.stream, Array("|\(received[frame.stream]?.count ?? 0)".utf8), ends: true) }
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    // A conversation: every answer is awaited before the next message.
    let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
    let response = try await client.execute(peer.request(.stream(stream)))
    var iterator = response.body.makeAsyncIterator()
    for word in ["one", "two", "three"] {
      continuation.yield(Array(word.utf8))
      #expect(try await iterator.next() == Array(word.utf8))
    }
    continuation.finish()
    #expect(try await iterator.next() == Array("|11".utf8))
    #expect(try await iterator.next() == nil)
    await client.shutdown()
  }

  @Test func resetsAndLostConnections() async throws {
    let peer = try H2Server { session in
      while let frame = session.next() {
        guard frame.endsStream else { continue }
        switch frame.stream {
        case 1:
          session.head(1)
          session.send(.init(.reset, stream: 1, [0, 0, 0, 2]))
        case 3:
          session.head(3)
          session.data(3, [7])
        default: return
        }
      }
    }
    defer { peer.server.stop() }
    let client = HTTPClient()
    var error = await #expect(throws: HTTPError.self) {
      let response = try await client.execute(peer.request())
      _ = try await response.body.collect(upTo: 1)
    }
    #expect(error?.kind == .connectionLost)
    let open = try await client.execute(peer.request())
    var iterator = open.body.makeAsyncIterator()
    #expect(try await iterator.next() == [7])
    // The third request ends the connection under the second one.
    let third = Task { try await client.execute(peer.request()) }
    error = await #expect(throws: HTTPError.self) { _ = try await iterator.next() }
    #expect(error?.kind == .connectionLost)
    third.cancel()
    _ = await third.result
    await client.shutdown()
  }
}

@Suite(.enabled(if: PrivateContainerd.isInstalled, "needs /usr/bin/containerd and root"), .serialized, .timeLimit(.minutes(3)))
struct ContainerdTests {
  static func request(_ containerd: PrivateContainerd, _ method: String, _ message: [UInt8] = []) -> HTTPRequest {
    let length = UInt32(message.count).bigEndian
    let frame = [0] + withUnsafeBytes(of: length) { Array($0) } + message
    return HTTPRequest(
      "POST", "http://localhost/\(method)",
      headers: [HTTPField("Content-Type", "application/grpc"), HTTPField("TE", "trailers"), HTTPField("containerd-namespace", "test")],
      body: .bytes(frame), unixSocketPath: containerd.socket, version: .http2PriorKnowledge)
  }

  static func call(_ client: HTTPClient, _ containerd: PrivateContainerd, _ method: String, _ message: [UInt8] = []) async throws -> [UInt8]
  {
    let response = try await client.execute(request(containerd, method, message))
    let body = try await response.body.collect(upTo: 1 << 20)
    let status = response.body.trailers.first(named: "grpc-status") ?? response.header("grpc-status")
    #expect(status == "0", "\(response.header("grpc-message") ?? response.body.trailers.first(named: "grpc-message") ?? "")")
    return body
  }

  @Test func unaryCallsShareTheConnectionOfAStream() async throws {
    let containerd = try await PrivateContainerd()
    defer { containerd.stop() }
    let client = HTTPClient()
    // The first answer brings the server's settings.
    let version = try await Self.call(client, containerd, "containerd.services.version.v1.Version/Version")
    #expect(version.count > 10)

    // containerd sends the head together with the first event.
    let first = Task {
      let events = try await client.execute(Self.request(containerd, "containerd.services.events.v1.Events/Subscribe"))
      var iterator = events.body.makeAsyncIterator()
      return try await iterator.next()
    }
    for _ in 0..<5 {
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<100 {
          group.addTask { try await Self.call(client, containerd, "containerd.services.version.v1.Version/Version").count }
        }
        for try await count in group { #expect(count == version.count) }
      }
    }
    // The listener and one connection.
    #expect(try containerd.sockets() == 2)

    // A CreateNamespaceRequest with Namespace { name: "n1000000" } and so on, until the subscriber has an event.
    let creator = Task {
      var number = 1_000_000
      while !Task.isCancelled {
        let name = Array("n\(number)".utf8)
        _ = try await Self.call(client, containerd, "containerd.services.namespaces.v1.Namespaces/Create", [0x0A, 0x0A, 0x0A, 0x08] + name)
        number += 1
      }
    }
    let event = try #require(try await first.value)
    creator.cancel()
    _ = await creator.result
    #expect(String(decoding: event, as: UTF8.self).contains("/namespaces/create"))
    await client.shutdown()
  }

  @Test func anUnknownMethodIsAHeadOnly() async throws {
    let containerd = try await PrivateContainerd()
    defer { containerd.stop() }
    let client = HTTPClient()
    // containerd may say no before it has seen the request's end, and resets the stream then; libcurl 7.88 drops the head with it.
    var answer: HTTPResponse?
    for _ in 0..<20 where answer == nil {
      do {
        answer = try await client.execute(Self.request(containerd, "no.Such/Method"))
      } catch let error as HTTPError where error.kind == .connectionLost {}
    }
    let response = try #require(answer)
    #expect(response.header("grpc-status") == "12")
    #expect(try await response.body.collect(upTo: 10).isEmpty)
    await client.shutdown()
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["CURL_BENCHMARK"] != nil))
  func cost() async throws {
    let containerd = try await PrivateContainerd()
    defer { containerd.stop() }
    let client = HTTPClient()
    let calls = 5000
    for _ in 0..<100 { _ = try await Self.call(client, containerd, "containerd.services.version.v1.Version/Version") }
    let clock = ContinuousClock()
    let before = cpuMicroseconds()
    let elapsed = try await clock.measure {
      for _ in 0..<calls { _ = try await Self.call(client, containerd, "containerd.services.version.v1.Version/Version") }
    }
    print("unary call: \((cpuMicroseconds() - before) / calls) µs of CPU, \(elapsed / calls) each")
    let parallel = cpuMicroseconds()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<100 {
        group.addTask {
          for _ in 0..<(calls / 100) { _ = try await Self.call(client, containerd, "containerd.services.version.v1.Version/Version") }
        }
      }
      try await group.waitForAll()
    }
    print("100 in parallel: \((cpuMicroseconds() - parallel) / calls) µs of CPU each")
    await client.shutdown()
  }
}

private func cpuMicroseconds() -> Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  func microseconds(_ time: timeval) -> Int { time.tv_sec * 1_000_000 + Int(time.tv_usec) }
  return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
}
