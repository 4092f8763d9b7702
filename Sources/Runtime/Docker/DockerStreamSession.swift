import Curl

/// The streams of a process on a connection that was an HTTP request before.
final class DockerStreamSession: StreamSession {
  typealias ExitCode = @Sendable () async throws -> Int32
  typealias Resize = @Sendable (_ columns: UInt16, _ rows: UInt16) async throws -> Void

  let output: AsyncThrowingStream<StreamOutput, any Error>
  private let connection: RawConnection
  private let reader: DockerStreamReader
  private let resizeTerminal: Resize
  private let hasInput: Bool

  /// - Parameters:
  ///   - isRaw: The process has a terminal: its bytes come without frames.
  ///   - exitCode: Asked for when the output has ended; nil if no exit is to be reported.
  init(
    connection: RawConnection, options: StreamOptions, isRaw: Bool, exitCode: ExitCode?,
    resize: @escaping Resize
  ) {
    let reader = DockerStreamReader(connection, options: options, isRaw: isRaw, exitCode: exitCode)
    self.connection = connection
    self.reader = reader
    resizeTerminal = resize
    hasInput = options.stdin
    // Pulled by the reader: what isn't read stays in the socket, and the process waits.
    output = AsyncThrowingStream { try await reader.next() }
  }

  func write(_ bytes: [UInt8]) async throws {
    guard hasInput else { throw RuntimeError(.failedPrecondition, operation: "Write", message: "the session has no input") }
    do {
      try await connection.write(bytes)
    } catch let error as HTTPError {
      throw RuntimeError(transport: error, operation: "Write")
    }
  }

  func closeInput() async throws {
    do {
      try await connection.closeWrite()
    } catch let error as HTTPError {
      throw RuntimeError(transport: error, operation: "CloseInput")
    }
  }

  func resize(columns: UInt16, rows: UInt16) async throws {
    try await resizeTerminal(columns, rows)
  }

  func close() async {
    await reader.close()
    await connection.close()
  }
}

/// Reads a session's connection piece by piece.
actor DockerStreamReader {
  private let connection: RawConnection
  private let options: StreamOptions
  private let exitCode: DockerStreamSession.ExitCode?
  private let isRaw: Bool
  private var decoder = DockerFrameDecoder()
  private var waiting: [StreamOutput] = []
  private var hasEnded = false
  private var isClosed = false

  init(_ connection: RawConnection, options: StreamOptions, isRaw: Bool, exitCode: DockerStreamSession.ExitCode?) {
    self.connection = connection
    self.options = options
    self.isRaw = isRaw
    self.exitCode = exitCode
  }

  func close() { isClosed = true }

  func next() async throws -> StreamOutput? {
    while waiting.isEmpty, !hasEnded {
      do {
        guard let bytes = try await connection.read() else {
          hasEnded = true
          break
        }
        let pieces = isRaw ? [.stdout(bytes)] : try decoder.decode(bytes)
        waiting = pieces.filter(isWanted).reversed()
      } catch let error as HTTPError {
        hasEnded = true
        if isClosed { return nil }
        throw RuntimeError(transport: error, operation: "Read")
      }
    }
    if let piece = waiting.popLast() { return piece }
    guard !isClosed, let exitCode else { return nil }
    isClosed = true
    return .exited(code: try await exitCode())
  }

  private func isWanted(_ piece: StreamOutput) -> Bool {
    switch piece {
    case .stdout: options.stdout
    case .stderr: options.stderr
    case .exited: true
    }
  }
}
