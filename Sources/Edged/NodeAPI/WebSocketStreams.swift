import Crypto
import FoundationEssentials
import HTTPServer

/// How the streams of a WebSocket connection are told apart: the first byte of a message is the number of its stream.
struct WebSocketProtocol: Sendable, Hashable {
  /// Kubernetes' name for it; empty: the client named none.
  var name: String
  /// Messages are texts: a character, `0` for the first stream, and base64 behind it.
  var isBase64: Bool { name.contains("base64.") }
  /// The client can end a stream of its own.
  var endsStreams: Bool { name.hasPrefix("v5.") }

  /// For exec and attach, the best one first.
  static let remoteCommand = [
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "channel.k8s.io", "base64.channel.k8s.io",
  ]
  /// For forwarded ports.
  static let portForward = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"]

  /// Reads a message.
  /// - Returns: nil if it makes no sense.
  func decode(_ message: WebSocketMessage) -> (stream: Int, bytes: [UInt8])? {
    guard let first = message.bytes.first else { return nil }
    guard isBase64 else { return (Int(first), Array(message.bytes.dropFirst())) }
    guard first >= 0x30, let data = Data(base64Encoded: Data(message.bytes.dropFirst())) else { return nil }
    return (Int(first - 0x30), Array(data))
  }

  func encode(_ bytes: [UInt8], stream: Int) -> WebSocketMessage {
    isBase64
      ? WebSocketMessage(isText: true, bytes: [0x30 + UInt8(stream)] + Array(Data(bytes).base64EncodedString().utf8))
      : WebSocketMessage(isText: false, bytes: [UInt8(stream)] + bytes)
  }

  /// The head with which it begins.
  /// - Parameter key: the client's `Sec-WebSocket-Key`.
  func switching(key: String) -> [UInt8] {
    // The constant is RFC 6455's.
    let accepted = Data(Insecure.SHA1.hash(data: Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    var headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accepted)]
    if !name.isEmpty { headers.append(("Sec-WebSocket-Protocol", name)) }
    return SwitchingProtocols(headers: headers).bytes
  }
}

/// The server's side of a WebSocket connection with a fixed number of streams.
final class WebSocketStreams: Sendable {
  let streams: [WebSocketStream]
  private let connection: StreamConnection
  private let version: WebSocketProtocol
  private let idle: IdleClock

  init(_ connection: StreamConnection, _ version: WebSocketProtocol, count: Int, idle: IdleClock) {
    self.connection = connection
    self.version = version
    self.idle = idle
    streams = (0..<count).map { WebSocketStream(number: $0, version: version, connection: connection, idle: idle) }
  }

  /// Reads until the client has closed, while `work` runs; closes when that has ended.
  func run(_ work: @escaping @Sendable () async -> Void) async {
    await serve(connection, idle: idle) {
      try? await self.read()
    } work: {
      await work()
      try? await self.connection.endMessages()
    }
  }

  private func read() async throws {
    defer { for stream in streams { stream.input.finish() } }
    while let message = try await connection.nextMessage() {
      idle.touch()
      guard let (number, bytes) = version.decode(message) else { continue }
      if number == 255, version.endsStreams, let ended = bytes.first, streams.indices.contains(Int(ended)) {
        streams[Int(ended)].input.finish()
      } else if streams.indices.contains(number) {
        await streams[number].input.push(bytes)
      }
    }
  }
}

/// One stream of a WebSocket connection.
final class WebSocketStream: ClientStream {
  let input = ByteQueue()
  private let number: Int
  private let version: WebSocketProtocol
  private let connection: StreamConnection
  private let idle: IdleClock

  init(number: Int, version: WebSocketProtocol, connection: StreamConnection, idle: IdleClock) {
    self.number = number
    self.version = version
    self.connection = connection
    self.idle = idle
  }

  func write(_ bytes: [UInt8]) async throws {
    idle.touch()
    try await connection.write(version.encode(bytes, stream: number))
  }

  /// The connection's end is the end of it.
  func end() async throws {}

  func reset() async throws { input.close() }
}
