import Core
import NIOCore
import Synchronization
import YAML

/// A node's connection: what waits to be sent to it, what waits for an acknowledgement, and when it was last alive.
final class NodeSession: Sendable {
  /// A message that has to be acknowledged.
  struct Delivery: Sendable {
    var record: SyncRecords.Record
    var message: Message
    /// Deletions and answers are sent whatever version was sent before.
    var isDeletion: Bool
    var isResponse: Bool

    var version: UInt64 { UInt64(record.version) ?? 0 }
  }

  private struct InFlight {
    var delivery: Delivery
    var tries = 1
    var timer: Scheduled<Void>?
  }

  private struct State {
    var order: [String] = []
    var waiting: [String: Delivery] = [:]
    var inFlight: InFlight?
    var failures: [String: Int] = [:]
    var keepalive: Scheduled<Void>?
    var pushed: Set<String> = []
    var pushAcks = 0
    var hasEnded = false
  }

  let node: String
  /// False for a connection that the cloud keeps open but doesn't serve.
  let isServed: Bool
  private let channel: any Channel
  private let configuration: CloudSimulator.Configuration
  private let transcript: Transcript
  private let faults: LinkFaults
  private let onAck: @Sendable (Delivery) -> Void
  private let state = Mutex(State())

  init(
    node: String, isServed: Bool, channel: any Channel, configuration: CloudSimulator.Configuration, transcript: Transcript,
    faults: LinkFaults, onAck: @escaping @Sendable (Delivery) -> Void
  ) {
    self.node = node
    self.isServed = isServed
    self.channel = channel
    self.configuration = configuration
    self.transcript = transcript
    self.faults = faults
    self.onAck = onAck
  }

  // MARK: Life

  /// Restarts the time after which the node counts as gone.
  func keepAlive() {
    guard isServed else { return }
    let timer = channel.eventLoop.scheduleTask(in: .nanoseconds(configuration.keepaliveTimeout.nanoseconds)) { [weak self] in
      _ = self?.end()
    }
    let old = state.withLock { state -> Scheduled<Void>? in
      guard !state.hasEnded else { return timer }
      defer { state.keepalive = timer }
      return state.keepalive
    }
    old?.cancel()
  }

  /// Ends the connection the way the real cloud does: without a close frame.
  @discardableResult
  func end() -> EventLoopFuture<Void> {
    let timers = state.withLock { state in
      state.hasEnded = true
      defer {
        state.keepalive = nil
        state.inFlight = nil
        state.order = []
        state.waiting = [:]
      }
      return [state.keepalive, state.inFlight?.timer]
    }
    for timer in timers { timer?.cancel() }
    channel.close(promise: nil)
    return channel.closeFuture
  }

  // MARK: Sending

  /// Sends once and forgets.
  func send(_ message: Message) {
    guard isServed else { return }
    transmit(GoWire.encode(message), message)
  }

  /// Sends bytes that need not be a message.
  func send(raw: [UInt8]) { transmit(raw, try? GoWire.decode(raw)) }

  /// Sends without waiting for earlier acknowledgements, and counts the acknowledgement.
  func push(_ message: Message) {
    state.withLock { _ = $0.pushed.insert(message.id) }
    transmit(GoWire.encode(message), message)
  }

  var pushAcks: Int { state.withLock { $0.pushAcks } }

  /// Sends when all that waits before it was acknowledged; of an object only the newest version waits.
  func enqueue(_ delivery: Delivery) {
    guard isServed else { return }
    state.withLock { state in
      guard !state.hasEnded else { return }
      let key = delivery.record.uid
      if !delivery.isDeletion, !delivery.isResponse {
        for earlier in [state.waiting[key], state.inFlight?.delivery].compactMap({ $0 }) where earlier.record.uid == key {
          if earlier.isDeletion || delivery.version <= earlier.version { return }
        }
      }
      state.waiting[key] = delivery
      if !state.order.contains(key) { state.order.append(key) }
    }
    pump()
  }

  /// What waits to be sent or acknowledged.
  var outstanding: [SyncRecords.Record] {
    state.withLock { state in
      [state.inFlight?.delivery.record].compactMap { $0 } + state.order.compactMap { state.waiting[$0]?.record }
    }
  }

  private func pump() {
    let next = state.withLock { state -> Delivery? in
      guard !state.hasEnded, state.inFlight == nil else { return nil }
      while !state.order.isEmpty {
        let key = state.order.removeFirst()
        if let delivery = state.waiting.removeValue(forKey: key) {
          state.inFlight = InFlight(delivery: delivery)
          return delivery
        }
      }
      return nil
    }
    guard let next else { return }
    transmit(GoWire.encode(next.message), next.message)
    armTimer(next.message.id)
  }

  private func armTimer(_ id: String) {
    let timer = channel.eventLoop.scheduleTask(in: .nanoseconds(configuration.ackTimeout.nanoseconds)) { [weak self] in
      self?.ackIsMissing(id) ?? ()
    }
    let isStale = state.withLock { state in
      guard state.inFlight?.delivery.message.id == id else { return true }
      state.inFlight?.timer = timer
      return false
    }
    if isStale { timer.cancel() }
  }

  private func ackIsMissing(_ id: String) {
    enum Step { case none, again(Message), giveUp(String, Int) }
    let step = state.withLock { state -> Step in
      guard let inFlight = state.inFlight, inFlight.delivery.message.id == id else { return .none }
      if inFlight.tries < configuration.ackTries {
        state.inFlight?.tries += 1
        return .again(inFlight.delivery.message)
      }
      let key = inFlight.delivery.record.uid
      state.inFlight = nil
      let failures = state.failures[key, default: 0]
      state.failures[key] = failures + 1
      if state.waiting[key] == nil { state.waiting[key] = inFlight.delivery }
      return .giveUp(key, failures)
    }
    switch step {
    case .none: break
    case .again(let message):
      transmit(GoWire.encode(message), message)
      armTimer(id)
    case .giveUp(let key, let failures):
      let milliseconds = min(1_000_000, 5 * Int64(1) << Int64(min(failures, 20)))
      channel.eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { [weak self] in self?.requeue(key) ?? () }
      pump()
    }
  }

  private func requeue(_ key: String) {
    state.withLock { state in
      if !state.hasEnded, state.waiting[key] != nil, !state.order.contains(key) { state.order.append(key) }
    }
    pump()
  }

  /// Takes an acknowledgement; those of other messages mean nothing.
  func acknowledged(_ parent: String) {
    let delivery = state.withLock { state -> Delivery? in
      if state.pushed.remove(parent) != nil { state.pushAcks += 1 }
      guard let inFlight = state.inFlight, inFlight.delivery.message.id == parent else { return nil }
      inFlight.timer?.cancel()
      state.inFlight = nil
      state.failures[inFlight.delivery.record.uid] = nil
      return inFlight.delivery
    }
    guard let delivery else { return }
    onAck(delivery)
    pump()
  }

  private func transmit(_ bytes: [UInt8], _ message: Message?) {
    guard let way = faults.next() else { return }
    let buffer = ByteBuffer(bytes: bytes)
    let write: @Sendable () -> Void = { [channel, transcript, node] in
      for _ in 0..<way.copies {
        transcript.add(.toNode, node: node, text: bytes, message: message)
        channel.writeAndFlush(buffer, promise: nil)
      }
    }
    if way.delay == .zero { write() } else { channel.eventLoop.scheduleTask(in: .nanoseconds(way.delay.nanoseconds), write) }
  }
}
