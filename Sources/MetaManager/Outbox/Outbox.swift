import Core
import Logging

/// Delivers what the cloud is owed: the newest state of each object, one message at a time per object, again and again until the cloud
/// has answered. It begins with what an earlier run of the agent left.
///
/// Events wait until nothing else has been delivered for a while: they tell people what happened, and must not keep the cloud from knowing
/// how pods are while many of them start.
actor Outbox {
  /// Objects that have a message under way at a time.
  static let parallelDeliveries = 32
  private static let replyTimeout: Duration = .seconds(60)
  /// How long nothing but events has been delivered before events are.
  private static let quiet: Duration = .seconds(1)
  /// How long events wait for that.
  private static let eventPatience: Duration = .seconds(30)

  private struct Object {
    var entries: [OwedEntry] = []
    var isUnderWay = false
    var backoff = Backoff(initial: .seconds(1), maximum: .seconds(300))

    /// What comes first: a pod's last status before its end.
    var next: OwedEntry? {
      func rank(_ entry: OwedEntry) -> Int { OwedEntry.Slot.allCases.firstIndex(of: entry.slot) ?? 0 }
      return entries.min { rank($0) < rank($1) }
    }
  }

  private let store: MetaStore
  private let channel: ChannelContext
  private let logger: Logger
  private var objects: [String: Object] = [:]
  /// Objects with something to deliver, in the order of their first entry.
  private var waiting: [String] = []
  /// Events to deliver, in the order of their first entry.
  private var waitingEvents: [String] = []
  private var underWay = 0
  private var lastSequence: Int64 = 0
  private var eventsMayGoAt = ContinuousClock.now
  private var eventsMustGoAt: ContinuousClock.Instant?
  /// What was delivered and not yet taken out of the store, which may have no room to write that down.
  private var unsettled: [StoreChange] = []
  private var isConnected = false
  /// Whether anybody has said how the connection is.
  private var isTold = false
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  /// What a delivery taught: the pod as the cloud has it now.
  private let learned: @Sendable (ObjectKey, [UInt8]) async -> Void

  init(store: MetaStore, channel: ChannelContext, logger: Logger, learned: @escaping @Sendable (ObjectKey, [UInt8]) async -> Void) {
    self.store = store
    self.channel = channel
    self.logger = logger
    self.learned = learned
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// How many entries wait.
  var count: Int { objects.values.reduce(0) { $0 + $1.entries.count } }

  // MARK: What others tell it

  /// Takes an entry that is in the store.
  func add(_ entry: OwedEntry) {
    lastSequence = max(lastSequence, entry.sequence)
    var object = objects[entry.object] ?? Object()
    object.entries.removeAll { $0.slot == entry.slot }
    object.entries.append(entry)
    objects[entry.object] = object
    enqueue(entry.object)
  }

  /// Takes an entry that the store wouldn't take.
  func addUnstored(_ entry: OwedEntry) {
    var entry = entry
    entry.sequence = lastSequence
    entry.isStored = false
    add(entry)
  }

  /// Drops what was owed for an object, as the store has.
  func forget(_ object: String) {
    objects[object]?.entries = []
    if objects[object]?.isUnderWay != true { objects[object] = nil }
    waiting.removeAll { $0 == object }
    waitingEvents.removeAll { $0 == object }
  }

  func connectionChanged(_ connection: CloudConnection) {
    isConnected = connection == .connected
    isTold = true
    if isConnected {
      for name in objects.keys { objects[name]?.backoff.reset() }
      for (name, object) in objects.sorted(by: { ($0.value.entries.first?.sequence ?? 0) < ($1.value.entries.first?.sequence ?? 0) })
      where !object.entries.isEmpty { enqueue(name) }
    }
    wakeup.yield()
  }

  /// What was found by asking counts as long as nobody has told.
  func connectionFound(_ connection: CloudConnection) {
    if !isTold { connectionChanged(connection) }
  }

  private func enqueue(_ name: String) {
    guard let object = objects[name], !object.isUnderWay else { return }
    if object.next?.slot == .event {
      guard !waitingEvents.contains(name) else { return }
      waitingEvents.append(name)
      // As many as the store keeps.
      if waitingEvents.count > MetaStore.owedEventLimit { objects[waitingEvents.removeFirst()] = nil }
      eventsMustGoAt = eventsMustGoAt ?? .now + Self.eventPatience
    } else {
      guard !waiting.contains(name) else { return }
      waiting.append(name)
    }
    wakeup.yield()
  }

  // MARK: Delivering

  /// Delivers until it is cancelled.
  func run() async {
    do {
      for entry in try await store.owed() { add(entry) }
    } catch {
      logger.error("what is owed to the cloud can't be read", metadata: ["error": "\(error)"])
    }
    await withDiscardingTaskGroup { tasks in
      var timer: Task<Void, Never>?
      for await _ in wakeups {
        timer?.cancel()
        timer = nil
        while isConnected, underWay < Self.parallelDeliveries, let name = takeNext() {
          guard let entry = objects[name]?.next else { continue }
          objects[name]?.isUnderWay = true
          underWay += 1
          tasks.addTask { await self.deliver(entry) }
        }
        if isConnected, let time = eventsDueAt {
          timer = Task {
            try? await Task.sleep(until: time)
            if !Task.isCancelled { wakeup.yield() }
          }
        }
      }
      timer?.cancel()
      tasks.cancelAll()
    }
  }

  /// When events are delivered, if any wait for nothing but time.
  private var eventsDueAt: ContinuousClock.Instant? {
    guard let last = eventsMustGoAt, waiting.isEmpty, underWay < Self.parallelDeliveries else { return nil }
    return min(eventsMayGoAt, last)
  }

  private func takeNext() -> String? {
    if !waiting.isEmpty {
      eventsMayGoAt = .now + Self.quiet
      return waiting.removeFirst()
    }
    guard let due = eventsDueAt, due <= .now else { return nil }
    let name = waitingEvents.removeFirst()
    if waitingEvents.isEmpty { eventsMustGoAt = nil }
    return name
  }

  private func settle(_ entry: OwedEntry) async {
    let changes = unsettled + [entry.settlement]
    unsettled = []
    do {
      _ = try await store.apply(changes)
    } catch {
      unsettled = changes + unsettled
      logger.debug("what was told can't be taken out of the store yet", metadata: ["error": "\(error)"])
    }
  }

  private enum Delivery {
    case delivered
    case offline
    case failed(MetadataError)
  }

  private func deliver(_ entry: OwedEntry) async {
    let delivery = await send(entry)
    var retryAfter: Duration?
    switch delivery {
    case .delivered:
      objects[entry.object]?.entries.removeAll { $0 == entry }
      objects[entry.object]?.backoff.reset()
    case .offline: break
    case .failed(let error):
      let delay = objects[entry.object]?.backoff.next() ?? .seconds(1)
      retryAfter = delay
      logger.warning(
        "telling the cloud failed; trying again", metadata: ["resource": "\(entry.resource)", "error": "\(error)", "in": "\(delay)"])
    }
    underWay -= 1
    objects[entry.object]?.isUnderWay = false
    if objects[entry.object]?.entries.isEmpty == true {
      objects[entry.object] = nil
    } else if let retryAfter {
      // The object waits, the others don't.
      objects[entry.object]?.isUnderWay = true
      wakeup.yield()
      try? await Task.sleep(for: retryAfter, tolerance: retryAfter / 10)
      objects[entry.object]?.isUnderWay = false
    }
    var isOffline = false
    if case .offline = delivery { isOffline = true }
    if !isOffline, objects[entry.object] != nil { enqueue(entry.object) }
    wakeup.yield()
  }

  private func send(_ entry: OwedEntry) async -> Delivery {
    let message = Message(
      route: .init(
        source: ModuleName.edged.rawValue, group: ModuleGroup.meta.rawValue, operation: entry.operation, resource: entry.resource),
      content: entry.content)
    do {
      if entry.slot == .event {
        // The cloud never answers to events.
        try await channel.send(message, to: .websocket)
        await settle(entry)
        return .delivered
      }
      let reply = CloudReply(try await channel.request(message, to: .websocket, timeout: Self.replyTimeout), about: entry.resource)
      switch reply {
      case .failure(let error) where error.kind == .offline: return .offline
      // The pod is gone, or another one has its name: nobody wants to hear of it any more.
      case .failure(let error) where error.kind == .notFound || error.kind == .conflict: break
      case .failure(let error): return .failed(error)
      case .object(let object):
        if let key = ObjectKey(resource: entry.resource), entry.slot == .status {
          await learned(ObjectKey(namespace: key.namespace, type: "pod", name: key.name), object)
        }
      case .done: break
      }
      await settle(entry)
      return .delivered
    } catch ChannelError.unknownModule, ChannelError.unregistered {
      return .offline
    } catch {
      return .failed(error as? MetadataError ?? MetadataError(.timeout, "\(error)"))
    }
  }
}

extension OwedEntry {
  /// What the store is to do when it was delivered.
  fileprivate var settlement: StoreChange {
    isStored ? .settle(sequence: sequence) : .settleOlder(object: object, slot: slot, upTo: sequence)
  }
}
