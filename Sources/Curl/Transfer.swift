import Synchronization

/// One request under way: what the caller's task and the loop's thread share.
///
/// The loop's thread puts bytes in and publishes once per round; the task takes them out. A finished transfer keeps its unread
/// bytes.
final class Transfer: Sendable {
  typealias Head = ResponseHeadParser.Head

  /// What happens when the reader falls behind.
  enum Overflow: Sendable {
    /// libcurl stops reading from the connection above this many bytes.
    case pause(above: Int)
    /// The transfer fails: pausing a stream of a shared HTTP/2 connection would stall its siblings once libcurl's own buffer
    /// for that stream is full.
    case fail(above: Int)
  }

  private struct State {
    var head: Head?
    var headWaiter: CheckedContinuation<Head, any Error>?
    var unread: [UInt8] = []
    var reader: CheckedContinuation<[UInt8]?, any Error>?
    var isReceivePaused = false
    var trailers: [HTTPField] = []
    var end: Result<Void, any Error>?

    var upload = UploadBuffer()
    var pump: Task<Void, Never>?

    /// The waiters that can go on, to be resumed outside of the lock.
    mutating func takeWakes() -> Wakes {
      var wakes = Wakes()
      if let waiter = headWaiter {
        if let head {
          wakes.head = (waiter, .success(head))
          headWaiter = nil
        } else if case .failure(let error) = end {
          wakes.head = (waiter, .failure(error))
          headWaiter = nil
        }
      }
      if let waiter = reader, let next = takeChunk() {
        wakes.reader = (waiter, next)
        reader = nil
      }
      if end != nil {
        wakes.uploader = upload.waiter
        upload.waiter = nil
        wakes.pump = pump
        pump = nil
      }
      return wakes
    }

    /// nil: the reader has to wait.
    mutating func takeChunk() -> Result<[UInt8]?, any Error>? {
      if !unread.isEmpty {
        let bytes = unread
        unread = []
        return .success(bytes)
      }
      return end?.map { nil }
    }
  }

  private struct Wakes {
    var head: (CheckedContinuation<Head, any Error>, Result<Head, any Error>)?
    var reader: (CheckedContinuation<[UInt8]?, any Error>, Result<[UInt8]?, any Error>)?
    var uploader: CheckedContinuation<Bool, Never>?
    var pump: Task<Void, Never>?

    func resume() {
      if let (waiter, result) = head { waiter.resume(with: result) }
      if let (waiter, result) = reader { waiter.resume(with: result) }
      uploader?.resume(returning: false)
      pump?.cancel()
    }
  }

  let request: HTTPRequest
  let overflow: Overflow
  private let loop: MultiLoop
  private let state = Mutex(State())

  init(_ request: HTTPRequest, loop: MultiLoop) {
    self.request = request
    self.loop = loop
    let sharesConnection = request.version != .http1 && !request.isolatesConnection
    overflow = sharesConnection ? .fail(above: 32 << 20) : .pause(above: 256 << 10)
  }

  var isEnded: Bool { state.withLock { $0.end != nil } }
  var trailers: [HTTPField] { state.withLock { $0.end == nil ? [] : $0.trailers } }

  // MARK: The task's side

  /// Hands the request to the loop and waits for the response's head.
  func start() async throws -> Head {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let wakes = state.withLock { state in
          state.headWaiter = continuation
          return state.takeWakes()
        }
        wakes.resume()
        do throws(HTTPError) {
          try loop.submit(.start(self), label: request.label)
        } catch {
          finish(.failure(error))
        }
        if case .stream(let chunks) = request.body { pump(chunks) }
      }
    } onCancel: {
      cancel()
    }
  }

  /// The next bytes, nil at the body's end.
  func next() async throws -> [UInt8]? {
    if let ready = take() { return try ready.get() }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<[UInt8]?, any Error>? in
          if let ready = state.takeChunk() { return ready }
          guard state.reader == nil else { return .failure(request.label.error(.other, "two tasks read the same body")) }
          state.reader = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
        resumeReceivingIfDrained()
      }
    } onCancel: {
      cancel()
    }
  }

  private func take() -> Result<[UInt8]?, any Error>? {
    if Task.isCancelled {
      cancel()
      return .failure(CancellationError())
    }
    let ready = state.withLock { $0.takeChunk() }
    resumeReceivingIfDrained()
    return ready
  }

  private func resumeReceivingIfDrained() {
    let isDrained = state.withLock { state -> Bool in
      guard state.isReceivePaused, state.unread.isEmpty, state.end == nil else { return false }
      state.isReceivePaused = false
      return true
    }
    if isDrained { loop.post(.unpause(self)) }
  }

  /// Ends the transfer, if it hasn't ended, and with it the request on the wire.
  func cancel() {
    if finish(.failure(CancellationError())) { loop.post(.cancel(self)) }
  }

  /// Reads no further than `limit`.
  func overflowError(limit: Int) -> HTTPError { request.label.error(.bodyTooLarge(limit: limit)) }

  // MARK: The request's body

  /// The task ends with the stream or with the transfer, which cancels it.
  private func pump(_ chunks: AsyncStream<[UInt8]>) {
    let task = Task {
      for await chunk in chunks where !chunk.isEmpty {
        guard await upload(chunk) else { return }
      }
      if Task.isCancelled { return }
      let isPaused = state.withLock { state in
        state.upload.isComplete = true
        return state.upload.takePause()
      }
      if isPaused { loop.post(.unpause(self)) }
    }
    let isEnded = state.withLock { state in
      if state.end == nil { state.pump = task }
      return state.end != nil
    }
    if isEnded { task.cancel() }
  }

  /// Waits while too much is queued; false when the transfer has ended.
  private func upload(_ chunk: [UInt8]) async -> Bool {
    let isPaused = state.withLock { state in
      state.upload.append(chunk)
      return state.upload.takePause()
    }
    if isPaused { loop.post(.unpause(self)) }
    return await withCheckedContinuation { continuation in
      let answer = state.withLock { state -> Bool? in
        if state.end != nil { return false }
        if state.upload.hasRoom { return true }
        state.upload.waiter = continuation
        return nil
      }
      if let answer { continuation.resume(returning: answer) }
    }
  }

  // MARK: The loop's side

  enum Receipt {
    case taken
    case pause
    case refuse
  }

  /// A piece of the body. The reader sees it with the next `publish`.
  func receive(_ bytes: UnsafeRawBufferPointer) -> Receipt {
    state.withLock { state in
      guard state.end == nil else { return .refuse }
      switch overflow {
      case .pause(let limit):
        if state.unread.count >= limit {
          state.isReceivePaused = true
          return .pause
        }
      case .fail(let limit):
        if state.unread.count + bytes.count > limit {
          state.end = .failure(overflowError(limit: limit))
          return .refuse
        }
      }
      state.unread.append(contentsOf: bytes)
      return .taken
    }
  }

  /// Fills libcurl's buffer from what the caller has given so far.
  func send(into buffer: UnsafeMutableRawBufferPointer) -> UploadBuffer.Portion {
    let (portion, waiter) = state.withLock { state in
      let portion = state.upload.drain(into: buffer)
      let waiter = state.upload.hasRoom ? state.upload.waiter : nil
      if waiter != nil { state.upload.waiter = nil }
      return (portion, waiter)
    }
    waiter?.resume(returning: true)
    return portion
  }

  /// Whether libcurl may start the body from its beginning.
  var canRewind: Bool { state.withLock { !$0.upload.isStarted } }

  /// What libcurl should hold back now.
  var pauses: (receiving: Bool, sending: Bool) { state.withLock { ($0.isReceivePaused, $0.upload.isPaused) } }

  /// Wakes the task for what came in during this round.
  func publish(head: Head?) {
    let wakes = state.withLock { state in
      if state.head == nil { state.head = head }
      return state.takeWakes()
    }
    wakes.resume()
  }

  /// False when it had ended before.
  @discardableResult
  func finish(_ result: Result<Void, any Error>, head: Head? = nil, trailers: [HTTPField] = []) -> Bool {
    let (wakes, isFirst) = state.withLock { state in
      let isFirst = state.end == nil
      if isFirst {
        if state.head == nil { state.head = head }
        state.trailers = trailers
        state.end = result
      }
      return (state.takeWakes(), isFirst)
    }
    wakes.resume()
    return isFirst
  }
}
