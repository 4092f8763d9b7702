import Curl
import SPDY
import Synchronization

/// The streams of a command or of a container, at the URL that CRI's Exec and Attach return.
///
/// Kubernetes' remote command protocol, version 4, over SPDY/3.1: of the two transports that engines serve it over, WebSocket has no
/// way to end the command's input alone, so that `exec -i … cat` would never finish.
final class RemoteCommand: StreamSession {
  static let protocolVersion = "v4.channel.k8s.io"

  let output: AsyncThrowingStream<StreamOutput, any Error>

  private let operation: String
  private let connection: RawConnection
  private let streams: RemoteCommandStreams
  private let reader: RemoteCommandOutput

  private init(operation: String, connection: RawConnection, streams: RemoteCommandStreams, reportsExit: Bool) {
    self.operation = operation
    self.connection = connection
    self.streams = streams
    let reader = RemoteCommandOutput(operation: operation, connection: connection, streams: streams, reportsExit: reportsExit)
    self.reader = reader
    // Bytes are taken from the socket only when someone asks, so a slow reader slows the process down.
    output = AsyncThrowingStream { try await reader.next() }
  }

  /// - Parameters:
  ///   - url: `http://127.0.0.1:<port>/exec/<token>`. Whoever knows the token may connect, so it is never shown.
  ///   - operation: CRI's word, for errors.
  ///   - reportsExit: Whether the end of the streams is the end of a process.
  ///   - timeout: For the connection, not for the command.
  static func connect(
    url: String, operation: String, options: StreamOptions, reportsExit: Bool, http: HTTPClient, timeout: Duration
  ) async throws -> RemoteCommand {
    guard url.hasPrefix("http://") else {
      throw RuntimeError(.unsupported, operation: operation, message: "the engine's streaming URL is no http:// URL")
    }
    var request = HTTPRequest(
      "POST", url,
      headers: [
        HTTPField("Connection", "Upgrade"), HTTPField("Upgrade", "SPDY/3.1"),
        HTTPField("X-Stream-Protocol-Version", protocolVersion),
      ])
    request.timeout = timeout
    do {
      let upgrade = try await http.upgrade(request)
      let chosen = upgrade.header("X-Stream-Protocol-Version") ?? ""
      guard upgrade.status == 101, chosen == protocolVersion else {
        await upgrade.connection.close()
        throw RuntimeError(
          .unsupported, operation: operation,
          message: "the streaming server answered \(upgrade.status) with protocol \"\(chosen)\", wanted is \(protocolVersion)")
      }
      let streams = RemoteCommandStreams(options)
      try await upgrade.connection.write(streams.openingFrames())
      return RemoteCommand(operation: operation, connection: upgrade.connection, streams: streams, reportsExit: reportsExit)
    } catch let error as HTTPError {
      throw translate(error, operation: operation)
    }
  }

  func write(_ bytes: [UInt8]) async throws {
    guard let stdin = streams.stdin else {
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
    guard let stdin = streams.stdin else { return }
    try await send(SPDYFrame.data(stream: stdin, [], isLast: true))
  }

  func resize(columns: UInt16, rows: UInt16) async throws {
    guard let resize = streams.resize else { return }
    try await send(SPDYFrame.data(stream: resize, Array(#"{"Width":\#(columns),"Height":\#(rows)}"#.utf8)))
  }

  func close() async {
    reader.expectEnd()
    await connection.close()
  }

  private func send(_ frame: [UInt8]) async throws {
    do {
      try await connection.write(frame)
    } catch let error as HTTPError {
      throw Self.translate(error, operation: operation)
    }
  }

  static func translate(_ error: HTTPError, operation: String) -> RuntimeError {
    switch error.kind {
    case .timedOut: RuntimeError(.deadlineExceeded, operation: operation, message: error.message)
    case .upgradeRefused(let status, let body):
      RuntimeError(
        status == 404 ? .notFound : .unknown, operation: operation,
        message: "the streaming server answered \(status): \(body.prefix(512))")
    default: RuntimeError(.unavailable, operation: operation, message: error.message)
    }
  }
}
