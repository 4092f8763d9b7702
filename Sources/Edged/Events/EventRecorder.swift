import KubernetesAPI
import Logging
import Synchronization

/// Keeps the last events about pods, writes each to the log, and passes them on to who listens.
///
/// The same event again within 10 minutes adds to the first one's count. A pod that has too many of them is heard less: 25 at
/// once, then one in 5 minutes.
public final class EventRecorder: EventRecording {
  /// The longest message in bytes; the rest is cut off.
  static let messageLimit = 1024
  private static let window: Duration = .seconds(600)
  private static let listenerBuffer = 100

  private struct State {
    /// The one seen last comes last.
    var records: [EventRecord] = []
    var spam = SpamFilter()
    var lastSerial: Int64 = 0
    var nextListener = 0
    var listeners: [Int: AsyncStream<Event>.Continuation] = [:]
  }

  private let node: String
  private let capacity: Int
  private let logger: Logger
  private let now: @Sendable () -> Timestamp
  private let state = Mutex(State())

  /// - Parameters:
  ///   - node: the node's name.
  ///   - capacity: how many different events are kept.
  public convenience init(node: String, logger: Logger = Logger(label: "events"), capacity: Int = 1000) {
    self.init(node: node, logger: logger, capacity: capacity, now: { Timestamp.now })
  }

  init(node: String, logger: Logger, capacity: Int, now: @escaping @Sendable () -> Timestamp) {
    self.node = node
    self.capacity = max(1, capacity)
    self.logger = logger
    self.now = now
  }

  public func record(_ pod: Pod, fieldPath: String?, _ type: EventType, reason: String, message: String) {
    let time = now()
    let isHeard = state.withLock { state in
      let isHeard = state.spam.admits(pod.uid, at: time)
      var record = EventRecord(pod, fieldPath, type, reason, message.cut(toUTF8: Self.messageLimit), at: time)
      if let index = Self.index(of: record, in: state.records, at: time) {
        record = state.records.remove(at: index)
        record.count += record.count < .max ? 1 : 0
        record.last = time
      } else {
        guard isHeard else { return false }
        // Names of events are unique, also of two within a tick of the clock.
        state.lastSerial = max(time.nanoseconds, state.lastSerial + 1)
        record.serial = state.lastSerial
        if state.records.count >= capacity { state.records.removeFirst() }
      }
      state.records.append(record)
      if isHeard, !state.listeners.isEmpty {
        let event = record.event(node: node)
        for listener in state.listeners.values { listener.yield(event) }
      }
      return isHeard
    }
    if isHeard { log(pod, fieldPath, type, reason, message) }
  }

  /// Logs an event about the node and passes it on to who listens; events of nodes are few and aren't kept.
  func record(node name: String, _ type: EventType, reason: String, message: String) {
    let time = now()
    // As kubelet has it: the name stands for the UID.
    let record = EventRecord(
      Pod(metadata: ObjectMeta(name: name, namespace: "default", uid: name), spec: PodSpec(containers: [])), nil, type, reason, message,
      at: time)
    var event = record.event(node: node)
    event.involvedObject = ObjectReference(kind: "Node", name: name, uid: name)
    let listeners = state.withLock { Array($0.listeners.values) }
    for listener in listeners { listener.yield(event) }
    logger.log(level: type == .warning ? .warning : .info, "\(message)", metadata: ["node": "\(name)", "reason": "\(reason)"])
  }

  /// The events of a pod, the one seen last comes last.
  public func events(forPodUID uid: String) -> [Event] { all { $0.uid == uid } }

  /// All events, the one seen last comes last.
  public func all() -> [Event] { all { _ in true } }

  /// The events from now on, each as it is after it was counted. A listener that falls behind misses the oldest.
  public func stream() -> AsyncStream<Event> {
    let (stream, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(Self.listenerBuffer))
    let number = state.withLock { state in
      state.nextListener += 1
      state.listeners[state.nextListener] = continuation
      return state.nextListener
    }
    continuation.onTermination = { [weak self] _ in
      self?.state.withLock { $0.listeners[number] = nil }
    }
    return stream
  }

  /// Ends all streams.
  public func finish() {
    let listeners = state.withLock { state in
      defer { state.listeners = [:] }
      return state.listeners
    }
    for listener in listeners.values { listener.finish() }
  }

  private func all(_ isWanted: (EventRecord) -> Bool) -> [Event] {
    state.withLock { $0.records }.filter(isWanted).map { $0.event(node: node) }
  }

  private static func index(of record: EventRecord, in records: [EventRecord], at time: Timestamp) -> Int? {
    for index in records.indices.reversed() {
      if time - records[index].last > window { return nil }
      if records[index].isSame(as: record) { return index }
    }
    return nil
  }

  private func log(_ pod: Pod, _ fieldPath: String?, _ type: EventType, _ reason: String, _ message: String) {
    var metadata: Logger.Metadata = ["pod": "\(pod.fullName)", "reason": "\(reason)"]
    if let fieldPath { metadata["object"] = "\(fieldPath)" }
    logger.log(level: type == .warning ? .warning : .info, "\(message.cut(toUTF8: Self.messageLimit))", metadata: metadata)
  }
}

extension String {
  /// The longest beginning of at most `limit` bytes that ends between two characters.
  fileprivate func cut(toUTF8 limit: Int) -> String {
    guard utf8.count > limit else { return self }
    var end = utf8.index(startIndex, offsetBy: limit)
    while end > startIndex, end.samePosition(in: self) == nil { end = utf8.index(before: end) }
    return String(self[..<end])
  }
}
