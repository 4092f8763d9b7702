import Synchronization

/// Bytes between one task that brings them and one that takes them, with a bound on what waits in between.
final class ByteQueue: Sendable {
  /// Waiting bytes above which the bringer has to wait.
  static let limit = 256 << 10

  private struct State {
    var chunks: [[UInt8]] = []
    var size = 0
    /// Nothing more will come.
    var isFinished = false
    /// Nothing more will be taken.
    var isClosed = false
    var taker: AsyncStream<Void>.Continuation?
    var bringer: AsyncStream<Void>.Continuation?
  }

  private let state = Mutex(State())

  /// Waits while too much waits; bytes for a closed queue are dropped.
  func push(_ bytes: [UInt8]) async {
    guard !bytes.isEmpty else { return }
    let full = state.withLock { state -> AsyncStream<Void>? in
      guard !state.isClosed, !state.isFinished else { return nil }
      state.chunks.append(bytes)
      state.size += bytes.count
      state.taker?.finish()
      state.taker = nil
      guard state.size > Self.limit else { return nil }
      let (stream, continuation) = AsyncStream<Void>.makeStream()
      state.bringer = continuation
      return stream
    }
    if let full { for await _ in full {} }
  }

  /// Waits for bytes; nil at their end, or when the task is cancelled.
  func next() async -> [UInt8]? {
    while !Task.isCancelled {
      let (chunk, empty) = state.withLock { state -> ([UInt8]?, AsyncStream<Void>?) in
        if !state.chunks.isEmpty {
          let chunk = state.chunks.removeFirst()
          state.size -= chunk.count
          if state.size <= Self.limit {
            state.bringer?.finish()
            state.bringer = nil
          }
          return (chunk, nil)
        }
        if state.isFinished || state.isClosed { return (nil, nil) }
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        state.taker = continuation
        return (nil, stream)
      }
      if let chunk { return chunk }
      guard let empty else { return nil }
      for await _ in empty {}
    }
    return nil
  }

  /// What was brought can still be taken.
  func finish() {
    state.withLock { state in
      state.isFinished = true
      state.taker?.finish()
    }
  }

  /// What was brought is dropped, and so is what will be.
  func close() {
    state.withLock { state in
      state.isClosed = true
      state.chunks = []
      state.size = 0
      state.taker?.finish()
      state.bringer?.finish()
    }
  }
}
