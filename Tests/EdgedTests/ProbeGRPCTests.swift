import Curl
import KubernetesAPI
import Synchronization
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct ProbeGRPCTests {
  private func attempt(_ port: Int, service: String? = nil, timeout: Int32 = 30) async -> ProbeOutcome {
    var probe = Probe(grpc: GRPCAction(port: Int32(port), service: service))
    probe.timeoutSeconds = timeout
    let client = HTTPClient()
    let executor = ProbeExecutor(http: client, runCommand: { _, _, _ in throw CancellationError() })
    let outcome = await executor.attempt(
      ProbeJob(probe: probe, container: Container(name: "app"), podName: "shop/web", containerID: "c1", podIPs: ["127.0.0.1"]))
    await client.shutdown()
    return outcome
  }

  private final class Received: Sendable { let message = Mutex<[UInt8]>([]) }

  /// A server that speaks just enough HTTP/2: it takes one request and answers with these frames.
  private func server(_ received: Received = Received(), answer: [HTTP2Frame]?) throws -> ProbeTestServer {
    try ProbeTestServer { connection in
      guard connection.read(exactly: 24) != nil else { return }
      connection.write(HTTP2Frame(type: 4, flags: 0, stream: 0, payload: []).bytes)
      while let frame = HTTP2Frame(from: connection) {
        switch frame.type {
        case 4 where frame.flags & 1 == 0: connection.write(HTTP2Frame(type: 4, flags: 1, stream: 0, payload: []).bytes)
        case 0:
          received.message.withLock { $0 += frame.payload }
          if frame.flags & 1 == 1, let answer { for part in answer { connection.write(part.bytes) } }
        default: break
        }
      }
    }
  }

  private func answer(_ message: [UInt8], status: String = "0") -> [HTTP2Frame] {
    [
      .headers([(":status", "200"), ("content-type", "application/grpc")], ends: false),
      HTTP2Frame(type: 0, flags: 0, stream: 1, payload: [0, 0, 0, 0, UInt8(message.count)] + message),
      .headers([("grpc-status", status)], ends: true),
    ]
  }

  @Test(
    arguments: [
      ([0x08, 0x01], ProbeOutcome.success("service healthy")),
      ([0x08, 0x02], .failure("service unhealthy (responded with \"NOT_SERVING\")")),
      ([0x08, 0x03], .failure("service unhealthy (responded with \"SERVICE_UNKNOWN\")")),
      ([], .failure("service unhealthy (responded with \"UNKNOWN\")")),
      ([0x12, 0x01, 0x61, 0x08, 0x01], .success("service healthy")),
      ([0x08], .failure("error: health rpc failed: the answer of 6 bytes is no HealthCheckResponse")),
    ] as [([UInt8], ProbeOutcome)])
  func statuses(message: [UInt8], expected: ProbeOutcome) async throws {
    let server = try server(answer: answer(message))
    defer { server.stop() }
    #expect(await attempt(server.port) == expected)
  }

  @Test(arguments: [(nil, []), ("db", [0x0A, 0x02, 0x64, 0x62])] as [(String?, [UInt8])])
  func theServiceIsAskedFor(service: String?, message: [UInt8]) async throws {
    let received = Received()
    let server = try server(received, answer: answer([0x08, 0x01]))
    defer { server.stop() }
    #expect(await attempt(server.port, service: service) == .success("service healthy"))
    #expect(received.message.withLock { $0 } == [0, 0, 0, 0, UInt8(message.count)] + message)
  }

  @Test(arguments: [
    ("12", "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): sorry"),
    ("4", "timeout: health rpc did not complete in time: sorry"),
    ("5", "error: health rpc failed: grpc status 5: sorry"),
  ])
  func refusals(status: String, message: String) async throws {
    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status), ("grpc-message", "sorry")]
    let server = try server(answer: [.headers(fields, ends: true)])
    defer { server.stop() }
    #expect(await attempt(server.port) == .failure(message))
  }

  @Test func aServerThatSpeaksHTTP1Fails() async throws {
    let server = try ProbeTestServer { connection in
      connection.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
      _ = connection.read()
    }
    defer { server.stop() }
    #expect(await attempt(server.port).verdict == .failure)
  }

  @Test func aServerThatKeepsQuietFails() async throws {
    let server = try server(answer: nil)
    defer { server.stop() }
    let outcome = await attempt(server.port, timeout: 1)
    #expect(outcome.verdict == .failure)
  }

  @Test(arguments: [(127, [0x0A, 0x7F]), (300, [0x0A, 0xAC, 0x02])] as [(Int, [UInt8])])
  func longNames(count: Int, start: [UInt8]) {
    let frame = HealthCheck.request(service: String(repeating: "s", count: count))
    let length = start.count + count
    #expect(Array(frame.prefix(5)) == [0, 0, 0, UInt8(length >> 8), UInt8(length & 0xFF)])
    #expect(Array(frame.dropFirst(5).prefix(start.count)) == start)
    #expect(frame.count == 5 + length)
  }
}

/// One frame of HTTP/2.
private struct HTTP2Frame: Sendable {
  var type: UInt8
  var flags: UInt8
  var stream: UInt8
  var payload: [UInt8]

  init(type: UInt8, flags: UInt8, stream: UInt8, payload: [UInt8]) {
    self.type = type
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  init?(from connection: ProbeTestServer.Connection) {
    guard let head = connection.read(exactly: 9) else { return nil }
    let length = head[0..<3].reduce(0) { $0 << 8 | Int($1) }
    guard let payload = length == 0 ? [] : connection.read(exactly: length) else { return nil }
    self.init(type: head[3], flags: head[4], stream: head[8], payload: payload)
  }

  /// Each field as a literal that no table keeps; a pseudo-header's name is no different.
  static func headers(_ fields: [(String, String)], ends: Bool) -> HTTP2Frame {
    var block: [UInt8] = []
    for (name, value) in fields {
      block += [0x00, UInt8(name.utf8.count)] + Array(name.utf8)
      block += [UInt8(value.utf8.count)] + Array(value.utf8)
    }
    return HTTP2Frame(type: 1, flags: ends ? 5 : 4, stream: 1, payload: block)
  }

  var bytes: [UInt8] {
    let count = payload.count
    let length = [UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
    return length + [type, flags, 0, 0, 0, stream] + payload
  }
}
