import Curl
import SPDY
import Synchronization

/// The reading side of a remote command.
actor RemoteCommandOutput {
  /// A status is a few hundred bytes; more than this is cut off.
  private static let statusLimit = 64 << 10

  private let operation: String
  private let connection: RawConnection
  private let streams: RemoteCommandStreams
  private let reportsExit: Bool
  private var decoder = SPDYDecoder()
  private var status: [UInt8] = []
  /// Streams on which something may still come.
  private var open: Set<UInt32>
  private var isDone = false

  private let isEndExpected = Atomic(false)

  init(operation: String, connection: RawConnection, streams: RemoteCommandStreams, reportsExit: Bool) {
    self.operation = operation
    self.connection = connection
    self.streams = streams
    self.reportsExit = reportsExit
    open = Set([streams.error, streams.stdout, streams.stderr].compactMap { $0 })
  }

  /// Our own side disconnects: no error.
  nonisolated func expectEnd() { isEndExpected.store(true, ordering: .relaxed) }

  func next() async throws -> StreamOutput? {
    while !isDone {
      do {
        while let event = try decoder.next() {
          if let output = try await handle(event) { return output }
          if isDone { return try await end() }
        }
        guard let chunk = try await connection.read() else { return try await end() }
        decoder.append(chunk)
      } catch let error as HTTPError {
        if isEndExpected.load(ordering: .relaxed) || !status.isEmpty { return try await end() }
        isDone = true
        await connection.close()
        throw RemoteCommand.translate(error, operation: operation)
      } catch {
        isDone = true
        await connection.close()
        if let error = error as? SPDYDecoder.ProtocolError {
          throw RuntimeError(.internalError, operation: operation, message: error.description)
        }
        throw error
      }
    }
    return nil
  }

  private func handle(_ event: SPDYDecoder.Event) async throws -> StreamOutput? {
    switch event {
    case .data(streams.stdout, let bytes): return .stdout(bytes)
    case .data(streams.stderr, let bytes): return .stderr(bytes)
    case .data(streams.error, let bytes):
      status.append(contentsOf: bytes.prefix(Self.statusLimit - status.count))
    // The engine opens none.
    case .data, .opened: break
    case .ended(let stream):
      open.remove(stream)
      isDone = open.isEmpty
    // Our own pings would be odd.
    case .ping(let id): if id % 2 == 0 { try await connection.write(SPDYFrame.ping(id: id)) }
    case .goAway: isDone = true
    }
    return nil
  }

  /// The last element, when there is one.
  private func end() async throws -> StreamOutput? {
    isDone = true
    let isOurs = isEndExpected.load(ordering: .relaxed)
    await connection.close()
    if status.isEmpty {
      if isOurs { return nil }
      throw RuntimeError(.unavailable, operation: operation, message: "the connection ended before the command did")
    }
    let code = try RemoteCommandStatus.exitCode(status, operation: operation)
    return reportsExit ? .exited(code: code) : nil
  }
}
