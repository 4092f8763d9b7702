import Synchronization

/// The bounded queue of a module: many senders, one receiver.
///
/// A full mailbox makes senders wait, first come first served. Every wait ends by cancellation or when the mailbox is closed.
final class Mailbox: Sendable {
  let module: ModuleName
  let capacity: Int

  /// A message that waits for room, and who waits with it.
  private struct Sender {
    var ticket: UInt64
    var message: Message
    /// Nil if nobody waits for the delivery itself (a request waits for its answer).
    var continuation: CheckedContinuation<Void, any Error>?
  }

  private struct Receiver {
    var ticket: UInt64
    var continuation: UnsafeContinuation<Received, Never>
  }

  /// What a receiver gets.
  enum Received: Sendable {
    case message(Message)
    case closed
    case superseded
    case cancelled
  }

  private struct State {
    var messages = RingBuffer<Message>()
    var senders = RingBuffer<Sender>()
    var receiver: Receiver?
    var closed = false
    /// The module has failed, and hasn't taken anything since.
    var isUnattended = false
    var nextTicket: UInt64 = 0
    var sent: UInt64 = 0
    var received: UInt64 = 0
    var highWater = 0
    var waits: UInt64 = 0

    mutating func ticket() -> UInt64 {
      nextTicket += 1
      return nextTicket
    }

    mutating func store(_ message: Message) {
      messages.append(message)
      sent += 1
      if messages.count > highWater { highWater = messages.count }
    }
  }

  private let state = Mutex(State())

  init(module: ModuleName, capacity: Int) {
    self.module = module
    self.capacity = max(1, capacity)
  }

  /// What came of a try to deliver.
  enum Delivery: Sendable {
    case delivered
    case full
    case closed
    /// The message waits for room under this ticket.
    case parked(UInt64)
  }

  /// Delivers if there is room; with `parks` the message queues for room when there is none.
  func deliver(_ message: Message, parks: Bool = false) -> Delivery {
    let (delivery, receiver): (Delivery, Receiver?) = state.withLock { state in
      if state.closed { return (.closed, nil) }
      if let receiver = state.receiver {
        state.receiver = nil
        state.sent += 1
        state.received += 1
        return (.delivered, receiver)
      }
      if state.messages.count < capacity, state.senders.isEmpty {
        state.store(message)
        return (.delivered, nil)
      }
      if state.isUnattended { return (.closed, nil) }
      guard parks else { return (.full, nil) }
      let ticket = state.ticket()
      state.waits += 1
      state.senders.append(Sender(ticket: ticket, message: message, continuation: nil))
      return (.parked(ticket), nil)
    }
    receiver?.continuation.resume(returning: .message(message))
    return delivery
  }

  /// Delivers, waiting for room as long as it takes.
  nonisolated(nonsending) func send(_ message: Message) async throws {
    switch deliver(message) {
    case .delivered, .parked: return
    case .closed: throw ChannelError.unregistered(module)
    case .full: break
    }
    let ticket = state.withLock { $0.ticket() }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        wait(for: message, ticket: ticket, continuation)
      }
    } onCancel: {
      if let continuation = withdraw(ticket) { continuation.resume(throwing: CancellationError()) }
    }
  }

  private func wait(for message: Message, ticket: UInt64, _ continuation: CheckedContinuation<Void, any Error>) {
    let (outcome, receiver): (Result<Bool, any Error>, Receiver?) = state.withLock { state in
      // Whoever cancels takes the same lock afterwards, so that either this sees it or the canceller finds the sender.
      if Task.isCancelled { return (.failure(CancellationError()), nil) }
      if state.closed { return (.failure(ChannelError.unregistered(module)), nil) }
      if let receiver = state.receiver {
        state.receiver = nil
        state.sent += 1
        state.received += 1
        return (.success(true), receiver)
      }
      if state.messages.count < capacity, state.senders.isEmpty {
        state.store(message)
        return (.success(true), nil)
      }
      if state.isUnattended { return (.failure(ChannelError.unregistered(module)), nil) }
      state.waits += 1
      state.senders.append(Sender(ticket: ticket, message: message, continuation: continuation))
      return (.success(false), nil)
    }
    receiver?.continuation.resume(returning: .message(message))
    switch outcome {
    case .success(true): continuation.resume()
    case .success(false): break
    case .failure(let error): continuation.resume(throwing: error)
    }
  }

  /// Takes a waiting message back; whether it was still waiting.
  func unpark(_ ticket: UInt64) -> Bool {
    state.withLock { state in state.senders.removeFirst { $0.ticket == ticket } != nil }
  }

  private func withdraw(_ ticket: UInt64) -> CheckedContinuation<Void, any Error>? {
    state.withLock { state in state.senders.removeFirst { $0.ticket == ticket }?.continuation }
  }

  /// The next message; waits for one. A receiver that comes while another waits takes its place.
  nonisolated(nonsending) func receive() async -> Received {
    if Task.isCancelled { return .cancelled }
    if let received = take() { return received }
    let ticket = state.withLock { $0.ticket() }
    return await withTaskCancellationHandler {
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Received, Never>) in
        wait(Receiver(ticket: ticket, continuation: continuation))
      }
    } onCancel: {
      let receiver: Receiver? = state.withLock { state in
        guard state.receiver?.ticket == ticket else { return nil }
        return state.receiver.take()
      }
      receiver?.continuation.resume(returning: .cancelled)
    }
  }

  /// The next message if one is there.
  func poll() -> Message? {
    guard case .message(let message)? = take() else { return nil }
    return message
  }

  private func take() -> Received? {
    let (received, sender): (Received?, Sender?) = state.withLock { Self.take(&$0) }
    sender?.continuation?.resume()
    return received
  }

  private static func take(_ state: inout State) -> (Received?, Sender?) {
    state.isUnattended = false
    if let message = state.messages.popFirst() {
      state.received += 1
      let sender = state.senders.popFirst()
      if let sender { state.store(sender.message) }
      return (.message(message), sender)
    }
    return (state.closed ? .closed : nil, nil)
  }

  private func wait(_ receiver: Receiver) {
    let (received, sender, superseded): (Received?, Sender?, Receiver?) = state.withLock { state in
      if Task.isCancelled { return (.cancelled, nil, nil) }
      let (received, sender) = Self.take(&state)
      if received != nil { return (received, sender, nil) }
      let superseded = state.receiver
      state.receiver = receiver
      return (nil, nil, superseded)
    }
    sender?.continuation?.resume()
    if let received { receiver.continuation.resume(returning: received) }
    superseded?.continuation.resume(returning: .superseded)
  }

  /// Nobody takes messages for now: what has room waits for the module's next run, and nobody waits for room until it takes something.
  func leaveUnattended() {
    let senders = state.withLock { state in
      state.isUnattended = true
      var waiting: [CheckedContinuation<Void, any Error>] = []
      while let sender = state.senders.removeFirst(where: { $0.continuation != nil }) {
        if let waiter = sender.continuation { waiting.append(waiter) }
      }
      return waiting
    }
    for sender in senders { sender.resume(throwing: ChannelError.unregistered(module)) }
  }

  /// Ends all waiting; the number of messages that nobody took.
  func close() -> Int {
    let (left, senders, receiver): (Int, [Sender], Receiver?) = state.withLock { state in
      state.closed = true
      return (state.messages.removeAll().count, state.senders.removeAll(), state.receiver.take())
    }
    receiver?.continuation.resume(returning: .closed)
    for sender in senders { sender.continuation?.resume(throwing: ChannelError.unregistered(module)) }
    return left
  }

  var statistics: ChannelStatistics.Mailbox {
    state.withLock { state in
      .init(
        module: module, capacity: capacity, depth: state.messages.count, highestDepth: state.highWater,
        waitingSenders: state.senders.count, sent: state.sent, received: state.received, waits: state.waits)
    }
  }
}
