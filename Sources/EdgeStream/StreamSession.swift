import NIOCore
import Synchronization

/// Counts what waits in all sessions, bytes.
final class BacklogMeter: Sendable {
  private let bytes = Atomic<Int>(0)

  var total: Int { bytes.load(ordering: .relaxed) }

  func add(_ count: Int) { bytes.wrappingAdd(count, ordering: .relaxed) }
}

/// One session in the tunnel: what the cloud sends for it, until the node's end takes it, and when it has to end.
final class StreamSession: Sendable {
  enum End: Sendable, Hashable {
    /// The cloud has ended it; what it sent before still counts.
    case removed
    /// This side ends it at once.
    case aborted
  }

  private struct State {
    var chunks: [ArraySlice<UInt8>] = []
    var backlog = 0
    var end: End?
    var problem: String?
    /// It let the reader of the tunnel wait in vain, and has not caught up since.
    var isTooSlow = false
    /// The one task that takes bytes.
    var taker: CheckedContinuation<Void, Never>?
    /// The tunnel's reader.
    var holder: CheckedContinuation<Void, Never>?
  }

  /// What is taken at once.
  private static let chunkSize = 64 << 10

  let id: UInt64
  let kind: TunnelFrame.Kind
  private let limits: TunnelLimits
  private let meter: BacklogMeter
  private let state = Mutex(State())
  private let ends: AsyncStream<End>
  private let endsContinuation: AsyncStream<End>.Continuation

  init(id: UInt64, kind: TunnelFrame.Kind, limits: TunnelLimits, meter: BacklogMeter) {
    self.id = id
    self.kind = kind
    self.limits = limits
    self.meter = meter
    (ends, endsContinuation) = AsyncStream.makeStream()
  }

  var backlog: Int { state.withLock { $0.backlog } }
  var end: End? { state.withLock { $0.end } }
  /// Why this side has ended it.
  var problem: String? { state.withLock { $0.problem } }

  // MARK: The tunnel's side

  /// Takes bytes from the cloud.
  ///
  /// - Returns: whether the tunnel should not be read on before there is room.
  func deliver(_ bytes: ArraySlice<UInt8>) -> Bool {
    let (taker, isHeld, isTooMuch): (CheckedContinuation<Void, Never>?, Bool, Bool) = state.withLock { state in
      guard state.end == nil, !bytes.isEmpty else { return (nil, false, false) }
      guard state.backlog + bytes.count <= limits.backlog else { return (nil, false, true) }
      state.chunks.append(bytes)
      state.backlog += bytes.count
      meter.add(bytes.count)
      return (state.taker.take(), state.backlog > limits.heldBacklog && !state.isTooSlow, false)
    }
    taker?.resume()
    if isTooMuch { abort("the node takes its data too slowly: more than \(limits.backlog) bytes wait") }
    return isHeld
  }

  /// Waits until most of what came was taken, but not for long.
  func waitForRoom() async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await Task.sleep(for: self.limits.patience) }
      tasks.addTask { await self.room() }
      await tasks.next()
      tasks.cancelAll()
    }
    state.withLock { state in
      if state.end == nil, state.backlog > limits.resumedBacklog { state.isTooSlow = true }
    }
  }

  private func room() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let waits = state.withLock { state in
          guard state.backlog > limits.resumedBacklog, state.end == nil, !Task.isCancelled else { return false }
          state.holder = continuation
          return true
        }
        if !waits { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.holder.take() }?.resume()
    }
  }

  /// The cloud has ended it.
  ///
  /// - Returns: false if it had an end already.
  func remove() -> Bool { finish(.removed, nil) }

  /// Ends it at once; nil for a problem that is not its own.
  func abort(_ problem: String?) { finish(.aborted, problem) }

  @discardableResult
  private func finish(_ end: End, _ problem: String?) -> Bool {
    let waiters: [CheckedContinuation<Void, Never>?]? = state.withLock { state in
      guard state.end != .aborted, state.end != end else { return nil }
      state.end = end
      if let problem { state.problem = problem }
      if end == .aborted { drop(&state) }
      return [state.taker.take(), state.holder.take()]
    }
    guard let waiters else { return false }
    for waiter in waiters { waiter?.resume() }
    endsContinuation.yield(end)
    return true
  }

  /// Nobody takes anything any more.
  func close() {
    abort(nil)
    endsContinuation.finish()
  }

  private func drop(_ state: inout State) {
    meter.add(-state.backlog)
    state.backlog = 0
    state.chunks = []
  }

  // MARK: The node's side

  /// The next bytes from the cloud; nil when no more come, or the task is cancelled.
  func next() async -> ByteBuffer? {
    while true {
      let (bytes, isOver, holder): (ByteBuffer?, Bool, CheckedContinuation<Void, Never>?) = state.withLock { state in
        if Task.isCancelled { return (nil, true, nil) }
        guard !state.chunks.isEmpty else { return (nil, state.end != nil, nil) }
        let bytes = take(&state)
        guard state.backlog <= limits.resumedBacklog else { return (bytes, false, nil) }
        state.isTooSlow = false
        return (bytes, false, state.holder.take())
      }
      holder?.resume()
      if bytes != nil || isOver { return bytes }
      await withTaskCancellationHandler {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
          let waits = state.withLock { state in
            guard state.chunks.isEmpty, state.end == nil, !Task.isCancelled else { return false }
            state.taker = continuation
            return true
          }
          if !waits { continuation.resume() }
        }
      } onCancel: {
        state.withLock { $0.taker.take() }?.resume()
      }
    }
  }

  /// Small pieces are put together: the cloud sends many.
  private func take(_ state: inout State) -> ByteBuffer {
    var count = 1
    var size = state.chunks[0].count
    while count < state.chunks.count, size + state.chunks[count].count <= Self.chunkSize {
      size += state.chunks[count].count
      count += 1
    }
    var buffer = ByteBufferAllocator().buffer(capacity: size)
    for chunk in state.chunks[..<count] { buffer.writeBytes(chunk) }
    state.chunks.removeFirst(count)
    state.backlog -= size
    meter.add(-size)
    return buffer
  }

  /// Returns when it has to end: at once if this side wants it to, otherwise when what the cloud sent has had time to be taken. Also
  /// when the task is cancelled.
  func ending() async {
    for await end in ends {
      if end == .removed { try? await Task.sleep(for: limits.goodbye) }
      return
    }
  }
}
