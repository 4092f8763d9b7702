import Synchronization

/// Messages between the event loop, which reads them from the socket, and the one task that takes them.
///
/// The loop reads on only while the task waits: what nobody takes stays in the socket, and makes the cloud wait.
final class MessageInbox: Sendable {
  private struct State {
    var messages: [[UInt8]] = []
    var end: ConnectionError?
    var waiter: CheckedContinuation<Void, Never>?
    var isStopped = false
  }

  private let state = Mutex(State())

  /// Whether the loop should read on.
  var isAwaited: Bool { state.withLock { $0.waiter != nil } }

  var hasMessages: Bool { state.withLock { !$0.messages.isEmpty } }

  func put(_ message: [UInt8]) {
    state.withLock { state in
      state.messages.append(message)
      return state.waiter.take()
    }?.resume()
  }

  /// No more messages come; the first reason counts.
  func end(_ reason: ConnectionError) {
    state.withLock { state in
      if state.end == nil { state.end = reason }
      return state.waiter.take()
    }?.resume()
  }

  /// The reason for the end, if it has come.
  var reason: ConnectionError? { state.withLock { $0.end } }

  /// Nothing is handed out any more.
  func stop() {
    state.withLock { state in
      state.isStopped = true
      return state.waiter.take()
    }?.resume()
  }

  /// The next message; nil once stopped or cancelled.
  ///
  /// - Parameter read: called when the loop has to read on.
  /// - Throws: why there are no more, behind the last message.
  func next(read: @Sendable () -> Void) async throws(ConnectionError) -> [UInt8]? {
    while true {
      let result: Result<[UInt8]?, ConnectionError>? = state.withLock { state in
        if state.isStopped || Task.isCancelled { return .success(nil) }
        if !state.messages.isEmpty { return .success(state.messages.removeFirst()) }
        return state.end.map { .failure($0) }
      }
      if let result { return try result.get() }
      await withTaskCancellationHandler {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
          let waits = state.withLock { state in
            guard state.messages.isEmpty, state.end == nil, !state.isStopped, !Task.isCancelled else { return false }
            state.waiter = continuation
            return true
          }
          if waits { read() } else { continuation.resume() }
        }
      } onCancel: {
        state.withLock { $0.waiter.take() }?.resume()
      }
    }
  }
}
