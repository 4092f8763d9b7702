import Synchronization

/// What the caller's tasks and the loop's thread share about a raw connection.
final class RawStream: Sendable {
  /// Unread bytes above which the peer has to wait.
  private static let limit = 256 << 10

  private struct Write {
    var id: Int
    var bytes: ArraySlice<UInt8>
    var isStarted = false
    var waiter: CheckedContinuation<Void, any Error>?
  }

  private enum WriteSide {
    case open
    /// To be ended when the queue is empty.
    case ending(CheckedContinuation<Void, any Error>?)
    case ended
  }

  private struct State {
    var isConnected = false
    var connector: CheckedContinuation<Void, any Error>?
    var unread: [UInt8] = []
    var peerHasEnded = false
    var reader: (id: Int, waiter: CheckedContinuation<[UInt8]?, any Error>)?
    /// The reader has taken all after the loop had stopped reading.
    var isReadStopped = false
    var queue: [Write] = []
    var writeSide = WriteSide.open
    var failure: (any Error)?
    var isClosed = false
    var closeWaiters: [CheckedContinuation<Void, Never>] = []
    var lastID = 0

    mutating func newID() -> Int {
      lastID += 1
      return lastID
    }

    /// nil: the reader has to wait.
    mutating func takeChunk() -> Result<[UInt8]?, any Error>? {
      if !unread.isEmpty {
        let bytes = unread
        unread = []
        return .success(bytes)
      }
      if peerHasEnded { return .success(nil) }
      return failure.map { .failure($0) }
    }
  }

  let request: HTTPRequest
  private let loop: MultiLoop
  private let state = Mutex(State())

  init(_ request: HTTPRequest, loop: MultiLoop) {
    self.request = request
    self.loop = loop
  }

  // MARK: The tasks' side

  func connect() async throws {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let failure = state.withLock { state in
          if state.failure == nil { state.connector = continuation }
          return state.failure
        }
        if let failure {
          continuation.resume(throwing: failure)
          return
        }
        do throws(HTTPError) {
          try loop.submit(.connect(self), label: request.label)
        } catch {
          fail(error)
        }
      }
    } onCancel: {
      let connects = state.withLock { !$0.isConnected }
      if connects { abort(CancellationError()) }
    }
  }

  func read() async throws -> [UInt8]? {
    try Task.checkCancellation()
    let (ready, isResuming) = state.withLock { state in
      let ready = state.takeChunk()
      let isResuming = state.isReadStopped && state.unread.isEmpty
      if isResuming { state.isReadStopped = false }
      return (ready, isResuming)
    }
    if isResuming { loop.post(.serve(self)) }
    if let ready { return try ready.get() }
    let id = state.withLock { $0.newID() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<[UInt8]?, any Error>? in
          if Task.isCancelled { return .failure(CancellationError()) }
          if let ready = state.takeChunk() { return ready }
          guard state.reader == nil else { return .failure(request.label.error(.other, "two tasks read the same connection")) }
          state.reader = (id, continuation)
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let waiter = state.withLock { state -> CheckedContinuation<[UInt8]?, any Error>? in
        guard let reader = state.reader, reader.id == id else { return nil }
        state.reader = nil
        return reader.waiter
      }
      waiter?.resume(throwing: CancellationError())
    }
  }

  /// Puts bytes in front of what will be read.
  func unread(_ bytes: [UInt8]) {
    state.withLock { $0.unread = bytes + $0.unread }
  }

  func write(_ bytes: [UInt8]) async throws {
    try Task.checkCancellation()
    guard !bytes.isEmpty else { return }
    let id = state.withLock { $0.newID() }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let failure = state.withLock { state -> (any Error)? in
          if let failure = state.failure { return failure }
          if Task.isCancelled { return CancellationError() }
          guard case .open = state.writeSide else { return request.label.error(.other, "the connection's write side has ended") }
          state.queue.append(Write(id: id, bytes: bytes[...], waiter: continuation))
          return nil
        }
        if let failure { continuation.resume(throwing: failure) } else { loop.post(.serve(self)) }
      }
    } onCancel: {
      cancelWrite(id)
    }
  }

  /// A write of which nothing has left is taken back; half a write would leave the peer with nonsense, so it ends everything.
  private func cancelWrite(_ id: Int) {
    let (waiter, isBroken) = state.withLock { state -> (CheckedContinuation<Void, any Error>?, Bool) in
      guard let index = state.queue.firstIndex(where: { $0.id == id }) else { return (nil, false) }
      if state.queue[index].isStarted { return (nil, true) }
      return (state.queue.remove(at: index).waiter, false)
    }
    waiter?.resume(throwing: CancellationError())
    if isBroken { abort(CancellationError()) }
  }

  func closeWrite() async throws {
    if request.isTLS { throw request.label.error(.other, "TLS has no half close") }
    try await withCheckedThrowingContinuation { continuation in
      let outcome = state.withLock { state -> Result<Void, any Error>? in
        if let failure = state.failure { return .failure(failure) }
        guard case .open = state.writeSide else { return .success(()) }
        state.writeSide = .ending(continuation)
        return nil
      }
      if let outcome { continuation.resume(with: outcome) } else { loop.post(.serve(self)) }
    }
  }

  /// Ends both sides now; what waits gets `error`.
  func abort(_ error: any Error) {
    fail(error)
    loop.post(.close(self))
  }

  /// Ends both sides and waits until the socket is closed.
  func close() async {
    fail(request.label.error(.connectionLost, "closed by this side"))
    await withCheckedContinuation { continuation in
      let isClosed = state.withLock { state in
        if !state.isClosed { state.closeWaiters.append(continuation) }
        return state.isClosed
      }
      if isClosed { continuation.resume() } else { loop.post(.close(self)) }
    }
  }

  // MARK: The loop's side

  var isEnded: Bool {
    state.withLock { state in
      if state.failure != nil { return true }
      guard state.peerHasEnded, case .ended = state.writeSide else { return false }
      return true
    }
  }

  var wishes: (reads: Bool, writes: Bool) {
    state.withLock { state in
      guard state.failure == nil else { return (false, false) }
      let hasRoom = state.unread.count < Self.limit
      if !hasRoom { state.isReadStopped = true }
      return (hasRoom && !state.peerHasEnded, !state.queue.isEmpty)
    }
  }

  func connected() {
    let waiter = state.withLock { state in
      state.isConnected = true
      defer { state.connector = nil }
      return state.connector
    }
    waiter?.resume()
  }

  /// No bytes: the peer has ended its side.
  func received(_ bytes: UnsafeRawBufferPointer) {
    state.withLock { state in
      if bytes.isEmpty { state.peerHasEnded = true } else { state.unread.append(contentsOf: bytes) }
    }
  }

  /// Wakes the reader for what came in.
  func publish() {
    let (waiter, result) = state.withLock { state -> (CheckedContinuation<[UInt8]?, any Error>?, Result<[UInt8]?, any Error>) in
      guard let reader = state.reader, let result = state.takeChunk() else { return (nil, .success(nil)) }
      state.reader = nil
      return (reader.waiter, result)
    }
    waiter?.resume(with: result)
  }

  func nextOutgoing() -> ArraySlice<UInt8>? {
    state.withLock { state in
      guard state.failure == nil, !state.queue.isEmpty else { return nil }
      state.queue[0].isStarted = true
      return state.queue[0].bytes
    }
  }

  func sent(_ count: Int) {
    let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
      guard !state.queue.isEmpty else { return nil }
      state.queue[0].bytes = state.queue[0].bytes.dropFirst(count)
      return state.queue[0].bytes.isEmpty ? state.queue.removeFirst().waiter : nil
    }
    waiter?.resume()
  }

  /// Whether the write side is to be ended now.
  func takeEndOfWriting() -> Bool {
    state.withLock { state in
      guard state.queue.isEmpty, case .ending = state.writeSide else { return false }
      return true
    }
  }

  func endedWriting() {
    let waiter = state.withLock { state -> CheckedContinuation<Void, any Error>? in
      guard case .ending(let waiter) = state.writeSide else { return nil }
      state.writeSide = .ended
      return waiter
    }
    waiter?.resume()
  }

  /// The first failure stays; bytes that came before it can still be read.
  func fail(_ error: any Error) {
    let waiters = state.withLock { state -> State? in
      guard state.failure == nil else { return nil }
      state.failure = error
      let waiters = state
      state.connector = nil
      if state.reader != nil { state.unread = [] }
      state.reader = nil
      state.queue = []
      state.writeSide = .ended
      return waiters
    }
    guard let waiters else { return }
    waiters.connector?.resume(throwing: error)
    if let reader = waiters.reader?.waiter {
      reader.resume(with: waiters.unread.isEmpty ? .failure(error) : .success(waiters.unread))
    }
    for write in waiters.queue { write.waiter?.resume(throwing: error) }
    if case .ending(let waiter) = waiters.writeSide { waiter?.resume(throwing: error) }
  }

  /// The socket is closed.
  func closed() {
    let waiters = state.withLock { state in
      state.isClosed = true
      defer { state.closeWaiters = [] }
      return state.closeWaiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
