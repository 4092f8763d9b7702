import Synchronization

/// Messages that came and wait for whoever takes them. One thread puts them in, one task takes them.
final class MessageInbox: Sendable {
  private struct State {
    var messages = Fifo<MQTTMessage>()
    var bytes = 0
    /// Nobody takes messages: what comes is dropped as long as there is no room.
    var drops = false
    var isClosed = false
    var taker: CheckedContinuation<Void, Never>?
  }

  private let countLimit: Int
  private let byteLimit: Int
  private let onRoom: @Sendable () -> Void
  private let state = Mutex(State())

  init(countLimit: Int, byteLimit: Int, onRoom: @escaping @Sendable () -> Void) {
    self.countLimit = countLimit
    self.byteLimit = byteLimit
    self.onRoom = onRoom
  }

  private func isFull(_ state: State) -> Bool { state.messages.count >= countLimit || state.bytes >= byteLimit }

  /// Whether more should be read.
  var hasRoom: Bool { state.withLock { $0.drops || !isFull($0) } }

  /// Whether there is room for what has to be read to get at the broker's confirmations: eight times as much as otherwise.
  var hasRoomInNeed: Bool { state.withLock { $0.messages.count < countLimit * 8 && $0.bytes < byteLimit * 4 } }

  /// From now on messages are dropped while there is no room.
  func giveUp() { state.withLock { $0.drops = true } }

  /// Puts a message in; who waits for one is woken by `announce`.
  ///
  /// - Returns: false if the message was dropped.
  func put(_ message: MQTTMessage) -> Bool {
    state.withLock { state in
      if state.isClosed || state.drops && isFull(state) { return false }
      state.messages.append(message)
      state.bytes += message.size
      return true
    }
  }

  /// Wakes who waits for messages, once for all that came together.
  func announce() {
    state.withLock { state in state.messages.isEmpty ? nil : state.taker.take() }?.resume()
  }

  /// Waits for a message, and takes those that are there: at most `limit`. Nil when there are no more, or the task is cancelled.
  func take(limit: Int) async -> [MQTTMessage]? {
    while true {
      if Task.isCancelled { return nil }
      let (batch, isClosed, hasRoomAgain) = state.withLock { state -> ([MQTTMessage], Bool, Bool) in
        let wasFull = isFull(state)
        var batch: [MQTTMessage] = []
        while batch.count < limit, let message = state.messages.popFirst() {
          state.bytes -= message.size
          batch.append(message)
        }
        if !isFull(state) { state.drops = false }
        return (batch, state.isClosed, wasFull && !isFull(state))
      }
      if hasRoomAgain { onRoom() }
      if !batch.isEmpty { return batch }
      if isClosed { return nil }
      await waitForMessage()
    }
  }

  /// No more come.
  func close() {
    state.withLock { state in
      state.isClosed = true
      return state.taker.take()
    }?.resume()
  }

  private func waitForMessage() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let waits = state.withLock { state in
          guard state.messages.isEmpty, !state.isClosed, !Task.isCancelled else { return false }
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
