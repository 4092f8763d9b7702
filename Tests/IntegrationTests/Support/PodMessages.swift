import Curl

/// A client of the node's streams over a WebSocket.
actor PodMessages {
  private let connection: RawConnection
  private var buffer: [UInt8] = []
  let version: String

  /// - Throws: `HTTPError` with the server's answer if it refuses.
  static func open(_ agent: Agent, _ target: String, versions: String = "v5.channel.k8s.io, v4.channel.k8s.io") async throws -> PodMessages
  {
    var request = HTTPRequest("GET", "http://127.0.0.1:\(agent.port)\(target)")
    request.headers = [
      HTTPField("Connection", "Upgrade"), HTTPField("Upgrade", "websocket"), HTTPField("Sec-WebSocket-Version", "13"),
      HTTPField("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), HTTPField("Sec-WebSocket-Protocol", versions),
    ]
    request.timeout = .seconds(60)
    let upgrade = try await agent.http.upgrade(request)
    guard upgrade.header("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" else {
      throw Shell.Failure(description: "the server didn't answer the client's key")
    }
    return PodMessages(upgrade.connection, version: upgrade.header("Sec-WebSocket-Protocol") ?? "")
  }

  private init(_ connection: RawConnection, version: String) {
    self.connection = connection
    self.version = version
  }

  /// Sends a message on a stream. The mask is zero, so that the bytes stay as they are.
  func send(_ bytes: [UInt8], to stream: UInt8) async throws {
    let payload = [stream] + bytes
    var frame: [UInt8] = [0x82]
    if payload.count < 126 {
      frame.append(0x80 | UInt8(payload.count))
    } else {
      frame += [0x80 | 127] + (0..<8).reversed().map { UInt8(payload.count >> ($0 * 8) & 0xFF) }
    }
    try await connection.write(frame + [0, 0, 0, 0] + payload)
  }

  /// A message and its stream; nil when the server has closed.
  func next() async throws -> (stream: UInt8, bytes: [UInt8])? {
    guard let head = try await take(2) else { return nil }
    var length = Int(head[1] & 0x7F)
    if length >= 126 {
      guard let more = try await take(length == 126 ? 2 : 8) else { return nil }
      length = more.reduce(0) { $0 << 8 | Int($1) }
    }
    guard let payload = try await take(length), head[0] & 0x0F != 8 else { return nil }
    return (payload.first ?? 0, Array(payload.dropFirst()))
  }

  /// What comes until the server closes, by stream.
  func rest() async throws -> [UInt8: [UInt8]] {
    var received: [UInt8: [UInt8]] = [:]
    while let message = try await next() { received[message.stream, default: []] += message.bytes }
    return received
  }

  func close() async { await connection.close() }

  private func take(_ count: Int) async throws -> [UInt8]? {
    while buffer.count < count {
      guard let more = try await connection.read() else { return nil }
      buffer += more
    }
    defer { buffer.removeFirst(count) }
    return Array(buffer.prefix(count))
  }
}
