import HTTPServer

/// One of the streams that a client has with us on one connection.
protocol ClientStream: AnyObject, Sendable {
  /// What the client sends on it.
  var input: ByteQueue { get }
  /// Waits while the client doesn't read.
  func write(_ bytes: [UInt8]) async throws
  /// Ends our side. Safe to call twice.
  func end() async throws
  /// Ends both sides early.
  func reset() async throws
}

/// Serves a connection with streams: reads it while `work` runs, lets the client read the rest, and ends when the client has left.
func serve(
  _ connection: StreamConnection, idle: IdleClock, read: @escaping @Sendable () async -> Void,
  work: @escaping @Sendable () async -> Void
) async {
  enum End {
    case peer, work, time
  }
  let farewell = Duration.seconds(10)
  await withTaskGroup(of: End.self) { tasks in
    tasks.addTask {
      await read()
      return .peer
    }
    // Known even while something that the client sent waits for a container to take it.
    tasks.addTask {
      await connection.waitUntilPeerEnds()
      return .peer
    }
    tasks.addTask {
      await idle.wait()
      return .time
    }
    tasks.addTask {
      await work()
      return .work
    }
    for await end in tasks {
      guard case .work = end else { break }
      // Closed with bytes of the client unread, the system might take back what it hasn't read yet.
      tasks.addTask {
        try? await Task.sleep(for: farewell)
        return .time
      }
    }
    tasks.cancelAll()
  }
}
