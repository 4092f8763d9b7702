import Core
import Synchronization

/// Messages that wait for their turn to be sent. One task puts them in, and waits while it is full; one takes them out.
final class MessageQueue: Sendable {
  private enum Phase { case open, finishing, closed }

  private struct State {
    var messages: [Message] = []
    var phase = Phase.open
    var taker: CheckedContinuation<Void, Never>?
    var putter: CheckedContinuation<Void, Never>?
  }

  private enum Taken {
    case message(Message)
    case nothingYet
    case end
  }

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  /// Puts a message in; false if it is closed or the task was cancelled.
  func put(_ message: Message) async -> Bool {
    while true {
      if Task.isCancelled { return false }
      let (isOpen, isIn, taker) = state.withLock { state -> (Bool, Bool, CheckedContinuation<Void, Never>?) in
        guard state.phase == .open else { return (false, false, nil) }
        guard state.messages.count < capacity else { return (true, false, nil) }
        state.messages.append(message)
        return (true, true, state.taker.take())
      }
      taker?.resume()
      if isIn || !isOpen { return isIn }
      await waitForRoom()
    }
  }

  /// The next message; nil when there are no more, or the task was cancelled.
  func next() async -> Message? {
    while true {
      if Task.isCancelled { return nil }
      let (taken, putter) = state.withLock { state -> (Taken, CheckedContinuation<Void, Never>?) in
        if state.phase == .closed { return (.end, nil) }
        if state.messages.isEmpty { return (state.phase == .finishing ? .end : .nothingYet, nil) }
        return (.message(state.messages.removeFirst()), state.putter.take())
      }
      putter?.resume()
      switch taken {
      case .message(let message): return message
      case .end: return nil
      case .nothingYet: await waitForMessage()
      }
    }
  }

  /// The next message if one waits and `mayTake` says so; never waits itself.
  func next(if mayTake: (Message) -> Bool) -> Message? {
    let (message, putter) = state.withLock { state -> (Message?, CheckedContinuation<Void, Never>?) in
      guard let first = state.messages.first, mayTake(first) else { return (nil, nil) }
      return (state.messages.removeFirst(), state.putter.take())
    }
    putter?.resume()
    return message
  }

  /// No more come; those that are in go out.
  func finish() { end(.finishing) }

  /// Ends it at once.
  ///
  /// - Returns: the messages that nobody took.
  func close() -> [Message] {
    end(.closed)
    return state.withLock { state in
      defer { state.messages = [] }
      return state.messages
    }
  }

  private func end(_ phase: Phase) {
    let (taker, putter) = state.withLock { state in
      if state.phase != .closed { state.phase = phase }
      return (state.taker.take(), state.putter.take())
    }
    taker?.resume()
    putter?.resume()
  }

  private func waitForRoom() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let waits = state.withLock { state in
          guard state.phase == .open, state.messages.count >= capacity, !Task.isCancelled else { return false }
          state.putter = continuation
          return true
        }
        if !waits { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.putter.take() }?.resume()
    }
  }

  private func waitForMessage() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let waits = state.withLock { state in
          guard state.phase == .open, state.messages.isEmpty, !Task.isCancelled else { return false }
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
