import NIOCore
import NIOHTTP1
import Synchronization

/// What a connection brings: parts of requests and, once it has left HTTP, bytes or messages.
enum ReceivedPart: Sendable {
  case head(HTTPRequestHead)
  case body(ByteBuffer)
  case end
  case bytes(ByteBuffer)
  case message(WebSocketMessage)
}

/// What is sent over a connection: parts of answers and, once it has left HTTP, bytes or messages.
enum SentPart: Sendable {
  case head(HTTPResponseHead)
  case body(ByteBuffer)
  case end
  /// From here on both directions are bytes. Nothing is sent for it.
  case leaveHTTP
  case bytes(ByteBuffer)
  /// Ends our side; the peer may go on.
  case endOfOutput
  /// Sends the head of an answer, behind which both directions are WebSocket messages.
  case speakWebSocket(ByteBuffer)
  case message(WebSocketMessage)
  /// Says that all is said.
  case endOfMessages
  /// Nothing to send: the event happens once the system has taken all that was written before.
  case report(OneTimeEvent)
}

/// The parts that one connection brings, for one reader at a time. An actor, since the reader of requests and the reader of bytes
/// are different tasks.
actor PartReader {
  private var iterator: NIOAsyncChannelInboundStream<ReceivedPart>.AsyncIterator

  init(_ inbound: NIOAsyncChannelInboundStream<ReceivedPart>) { iterator = inbound.makeAsyncIterator() }

  /// nil when the peer has ended its side.
  func next() async throws -> ReceivedPart? {
    var iterator = iterator
    defer { self.iterator = iterator }
    return try await iterator.next(isolation: self)
  }
}

/// What is known of a connection even while nobody reads from it.
struct ConnectionEvents: Sendable {
  /// The peer has ended its side, or is gone.
  let inputEnd = OneTimeEvent()
  /// Nothing can be sent any more.
  let close = OneTimeEvent()

  /// Returns when the system has taken all that was written, or nothing can be sent any more, or the time is up, or the task is
  /// cancelled. Closed before that, a connection loses what waits to be sent.
  func drain(_ outbound: NIOAsyncChannelOutboundWriter<SentPart>, atMost limit: Duration) async {
    let written = OneTimeEvent()
    do { try await outbound.write(.report(written)) } catch { return }
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await written.wait() }
      tasks.addTask { await close.wait() }
      tasks.addTask { try? await Task.sleep(for: limit) }
      await tasks.next()
      tasks.cancelAll()
    }
  }
}

/// Something that happens once; everybody who waits for it goes on, also who comes later.
final class OneTimeEvent: Sendable {
  private struct State {
    var hasHappened = false
    var nextID = 0
    var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
  }

  private let state = Mutex(State())

  func happen() {
    let waiters = state.withLock { state in
      state.hasHappened = true
      defer { state.waiters = [:] }
      return state.waiters.values
    }
    for waiter in waiters { waiter.finish() }
  }

  /// Returns when it has happened, or when the task is cancelled.
  func wait() async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    let id = state.withLock { state -> Int? in
      if state.hasHappened { return nil }
      state.nextID += 1
      state.waiters[state.nextID] = continuation
      return state.nextID
    }
    guard let id else { return }
    for await _ in stream {}
    _ = state.withLock { $0.waiters.removeValue(forKey: id) }
  }
}

/// Runs `body` until it ends or the peer leaves; in the latter case it is cancelled.
func whilePeerStays(_ end: OneTimeEvent, _ body: @escaping @Sendable () async throws -> Void) async throws {
  try await withThrowingTaskGroup(of: Void.self) { tasks in
    tasks.addTask { try await body() }
    tasks.addTask { await end.wait() }
    defer { tasks.cancelAll() }
    try await tasks.next()
  }
}
