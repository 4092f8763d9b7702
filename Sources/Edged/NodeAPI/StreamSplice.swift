import Curl
import HTTPServer

/// A connection that bytes are carried to and from. One task reads while others write.
protocol ByteStream: Sendable {
  /// nil when the peer has ended its side.
  func next() async throws -> [UInt8]?
  func write(_ bytes: [UInt8]) async throws
  func closeWrite() async throws
}

extension StreamConnection: ByteStream {}

extension RawConnection: ByteStream {
  func next() async throws -> [UInt8]? { try await read() }
}

/// Carries bytes between a client and whoever serves it, as they are, until both directions have ended. Each direction waits for its
/// reader, and the end of one is passed on without ending the other.
struct StreamSplice<Server: ByteStream>: Sendable {
  var client: StreamConnection
  var server: Server
  var idle: IdleClock
  /// Whether a client that has ended its side is gone, as in protocols with streams of their own. In others it may still listen.
  var endsWithClient: Bool
  /// How long one side may take to leave once the other has nothing more to say.
  var farewell = Duration.seconds(10)

  private enum End {
    case client, server, broken
  }

  func run() async {
    await withTaskGroup(of: End.self) { tasks in
      tasks.addTask { await carry(from: client, to: server) ? .client : .broken }
      tasks.addTask { await carry(from: server, to: client) ? .server : .broken }
      tasks.addTask {
        await idle.wait()
        return .broken
      }
      var open = 2
      for await end in tasks {
        open -= 1
        guard end != .broken, open > 0 else { break }
        guard end == .server || endsWithClient else { continue }
        tasks.addTask {
          try? await Task.sleep(for: farewell)
          return .broken
        }
      }
      tasks.cancelAll()
    }
  }

  /// Returns whether it went on until the end.
  private func carry(from source: some ByteStream, to destination: some ByteStream) async -> Bool {
    do {
      while let bytes = try await source.next() {
        idle.touch()
        try await destination.write(bytes)
      }
      try await destination.closeWrite()
      return true
    } catch {
      return false
    }
  }
}
