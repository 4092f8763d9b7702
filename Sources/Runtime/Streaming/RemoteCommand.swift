import Curl
import Synchronization

/// The streams of a command or of a container, at the URL that CRI's Exec and Attach return.
///
/// Kubernetes' remote command protocol, version 4, over SPDY/3.1: of the two transports that engines serve it over, WebSocket has no
/// way to end the command's input alone, so that `exec -i … cat` would never finish.
final class RemoteCommand: StreamSession {
  let output: AsyncThrowingStream<StreamOutput, any Error>

  private let operation: String
  private let connection: RawConnection
  private let writer: FrameWriter
  private let stdin: UInt32?
  private let resize: UInt32?

  private init(
    operation: String, connection: RawConnection, writer: FrameWriter, streams: RemoteCommandStreams, received: [UInt8],
    reportsExit: Bool
  ) {
    self.operation = operation
    self.connection = connection
    self.writer = writer
    stdin = streams.stdin
    resize = streams.resize
    let reader = RemoteCommandOutput(
      operation: operation, connection: connection, writer: writer, streams: streams, received: received, reportsExit: reportsExit)
    // Bytes are taken from the socket only when someone asks, so a slow reader slows the process down.
    output = AsyncThrowingStream { try await reader.next() }
  }

  /// - Parameters:
  ///   - operation: CRI's word, for errors.
  ///   - reportsExit: Whether the end of the streams is the end of a process.
  static func connect(url text: String, operation: String, options: StreamOptions, reportsExit: Bool, http: HTTPClient) async throws
    -> RemoteCommand
  {
    guard let url = StreamingURL(text) else {
      // Whoever knows the token may connect, so the URL is not shown.
      throw RuntimeError(.unsupported, operation: operation, message: "the engine's streaming URL is no plain http:// URL")
    }
    do {
      let connection = try await http.connect(host: url.host, port: url.port)
      do {
        let received = try await upgrade(connection, url: url, operation: operation)
        let streams = RemoteCommandStreams(options)
        let writer = FrameWriter(connection)
        try await writer.write(streams.openingFrames())
        return RemoteCommand(
          operation: operation, connection: connection, writer: writer, streams: streams, received: received,
          reportsExit: reportsExit)
      } catch {
        await connection.close()
        throw error
      }
    } catch let error as HTTPError {
      throw RuntimeError(.unavailable, operation: operation, message: "\(url.authority): \(error.message)")
    }
  }

  /// Asks for SPDY; returns what came after the reply's head.
  private static func upgrade(_ connection: RawConnection, url: StreamingURL, operation: String) async throws -> [UInt8] {
    let head = """
      POST \(url.path) HTTP/1.1\r
      Host: \(url.authority)\r
      Connection: Upgrade\r
      Upgrade: SPDY/3.1\r
      X-Stream-Protocol-Version: v4.channel.k8s.io\r
      Content-Length: 0\r
      \r

      """
    try await connection.write(Array(head.utf8))
    var received: [UInt8] = []
    var end: Int?
    while end == nil {
      guard received.count <= 16 << 10, let chunk = try await connection.read() else {
        throw RuntimeError(.unavailable, operation: operation, message: "the engine's streaming server gave no complete reply")
      }
      received.append(contentsOf: chunk)
      end = UpgradeReply.endOfHead(received)
    }
    let reply = UpgradeReply(received[..<(end ?? 0)])
    let rest = Array(received[(end ?? 0)...])
    guard reply.status == 101 else {
      let code: RuntimeError.Code = reply.status == 404 ? .notFound : .unknown
      throw RuntimeError(
        code, operation: operation,
        message: "the streaming server answered \(reply.status): \(String(decoding: rest.prefix(512), as: UTF8.self))")
    }
    guard reply.protocolVersion == "v4.channel.k8s.io" else {
      throw RuntimeError(
        .unsupported, operation: operation,
        message: "the streaming server chose the protocol \"\(reply.protocolVersion)\" where v4.channel.k8s.io was asked for")
    }
    return rest
  }

  func write(_ bytes: [UInt8]) async throws {
    guard let stdin else {
      throw RuntimeError(.failedPrecondition, operation: operation, message: "the session was opened without input")
    }
    var position = 0
    while position < bytes.count {
      let end = min(position + SPDYFrame.dataLimit, bytes.count)
      try await send(SPDYFrame.data(stream: stdin, bytes[position..<end]))
      position = end
    }
  }

  func closeInput() async throws {
    guard let stdin else { return }
    try await send(SPDYFrame.data(stream: stdin, [], isLast: true))
  }

  func resize(columns: UInt16, rows: UInt16) async throws {
    guard let resize else { return }
    try await send(SPDYFrame.data(stream: resize, Array(#"{"Width":\#(columns),"Height":\#(rows)}"#.utf8)))
  }

  func close() async {
    writer.markClosed()
    await connection.close()
  }

  private func send(_ frame: [UInt8]) async throws {
    do {
      try await writer.write(frame)
    } catch let error as HTTPError {
      throw RuntimeError(.unavailable, operation: operation, message: error.message)
    }
  }
}
