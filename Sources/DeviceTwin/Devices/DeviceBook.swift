import Core
import Logging
import SQLite
import YAML

/// The node's devices, in memory and on the disk, and what the cloud has still to be told of them.
///
/// Messages are taken in batches: each batch is one transaction, and nobody is told anything before it is on the disk. It runs on a thread of
/// its own.
actor DeviceBook {
  /// What goes out by MQTT.
  struct Publication: Sendable, Hashable {
    var topic: String
    var payload: [UInt8]
  }

  /// What follows from a batch.
  struct Outcome: Sendable {
    /// What is to be published, in that order.
    var publications: [Publication] = []
    /// Devices of which the cloud has something new to be told.
    var indebted: [DeviceID] = []
    var changed: Set<DeviceID> = []
  }

  /// What came in.
  enum Event: Sendable {
    /// A message of a device, of a program on the node or of a mapper.
    case device(id: String, DeviceTopic.Subject, payload: [UInt8], isFromMapper: Bool = false)
    case membershipGet(payload: [UInt8])
    /// What the cloud says of the node's devices.
    case membership(MembershipUpdate)
    /// All of the node's devices, says the cloud: those that aren't named are none any more.
    case allDevices(MembershipUpdate)
    /// A Device object of the cloud, as it is now.
    case object(DeviceID, DeviceWishes, version: Int64)
    /// There is no such Device object any more.
    case noObject(DeviceID)
  }

  nonisolated let path: String
  private let agentDatabase: String
  let nodeName: String
  private let logger: Logger
  private let executor: ThreadExecutor
  private var store: DeviceStore?
  private(set) var devices: [DeviceID: Device] = [:]
  var debts: [DeviceID: Debt] = [:]
  /// By name alone, for those who don't say a namespace.
  var names: [Substring: [DeviceID]] = [:]
  var draft = Draft()
  let counters = DeviceCounters()

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// What a batch changed and has not yet been written.
  struct Draft {
    /// As they were; nil for devices that weren't there.
    var devices: [DeviceID: Device?] = [:]
    var debts: [DeviceID: Debt?] = [:]
    var rows: Set<DeviceID> = []
    var twins: Set<Name> = []
    var attributes: Set<Name> = []
    var owed: Set<Name> = []
    var removed: Set<DeviceID> = []
    var publications: [Publication] = []

    struct Name: Hashable {
      var device: DeviceID
      var name: String
    }

    var isEmpty: Bool { devices.isEmpty && debts.isEmpty }
  }

  /// - Parameters:
  ///   - path: of the database file.
  ///   - agentDatabase: the agent's own, in which KubeEdge kept devices.
  /// - Throws: `ThreadError`.
  init(path: String, agentDatabase: String, nodeName: String, logger: Logger) throws {
    self.path = path
    self.agentDatabase = agentDatabase
    self.nodeName = nodeName
    self.logger = logger
    // Nested JSON is read here.
    executor = try ThreadExecutor("devices", stackSize: 4 << 20)
  }

  /// Reads everything. A damaged file is set aside; the cloud's objects and the devices' next messages fill the new one.
  func open() throws {
    let opened = try DatabaseFile.open(
      path, DeviceStore.migrations, inheriting: Inheritance(from: agentDatabase, tables: DeviceStore.inheritedTables))
    if let damage = opened.damage {
      logger.error(
        "the devices' database is damaged; it was set aside and begins anew",
        metadata: ["database": "\(path)", "reason": "\(damage.reason)", "setAside": "\(damage.setAside)"])
    }
    let store = DeviceStore(connection: opened.connection)
    devices = try store.devices()
    debts = try store.owed().filter { devices[$0.key] != nil }
    names = Dictionary(grouping: devices.keys, by: \.name)
    self.store = store
  }

  func close() {
    _ = flush()
    store = nil
  }

  // MARK: Batches

  /// Takes what came in, in that order.
  func take(_ events: [Event]) -> Outcome {
    for event in events { note(event) }
    do {
      let indebted = Set(draft.owed.map(\.device)).filter { debts[$0] != nil }
      let changed = Set(draft.devices.keys)
      return Outcome(publications: try commit(), indebted: Array(indebted), changed: changed)
    } catch  where events.count > 1 {
      // One after the other: what can be stored is.
      return events.reduce(into: Outcome(indebted: rollBack())) { all, event in
        let outcome = take([event])
        all.publications += outcome.publications
        all.indebted += outcome.indebted
        all.changed.formUnion(outcome.changed)
      }
    } catch {
      noteFailure("what a device said can't be stored", error)
      return Outcome(publications: events.compactMap { failure($0, error) }, indebted: rollBack())
    }
  }

  func noteFailure(_ text: String, _ error: any Error) {
    counters.storeFailures.increment()
    logger.error("\(text)", metadata: ["database": "\(path)", "error": "\(error)"])
  }

  private func note(_ event: Event) {
    switch event {
    case .device(let text, let subject, let payload, let isFromMapper): note(text, subject, payload, isFromMapper)
    case .membershipGet(let payload): answerMembership(payload)
    case .membership(let update):
      for device in update.added { add(device) }
      for id in update.removed { remove(id) }
    case .allDevices(let update):
      for device in update.added { add(device) }
      let listed = Set(update.added.map(\.id))
      for id in devices.keys where !listed.contains(id) { remove(id) }
    case .object(let id, let wishes, let version): adopt(id, wishes, version)
    case .noObject(let id): remove(id)
    }
  }

  /// Writes the draft; then it counts.
  func commit() throws -> [Publication] {
    let draft = self.draft
    if !draft.isEmpty {
      guard let store else { throw SQLiteError(code: 14, message: "the database is closed", context: "write \(path)") }
      try store.connection.transaction {
        for id in draft.removed { try store.remove(id) }
        for id in draft.rows { if let device = devices[id] { try store.put(device) } }
        for name in draft.attributes where devices[name.device] != nil {
          try store.put(devices[name.device]?.attributes[name.name], named: name.name, of: name.device)
        }
        for name in draft.twins {
          if let twin = devices[name.device]?.twins[name.name] { try store.put(twin, named: name.name, of: name.device) }
        }
        for name in draft.owed where devices[name.device] != nil {
          try store.put(debts[name.device]?[name.name] ?? [], named: name.name, of: name.device)
        }
      }
    }
    self.draft = Draft()
    return draft.publications
  }

  /// Takes back what was not written.
  ///
  /// - Returns: devices of which the cloud is owed something again.
  func rollBack() -> [DeviceID] {
    for (id, device) in draft.devices { place(device, at: id) }
    for (id, debt) in draft.debts { debts[id] = debt }
    defer { draft = Draft() }
    return draft.debts.keys.filter { debts[$0] != nil }
  }

  func place(_ device: Device?, at id: DeviceID) {
    if device == nil {
      names[id.name]?.removeAll { $0 == id }
      if names[id.name]?.isEmpty == true { names[id.name] = nil }
    } else if devices[id] == nil {
      names[id.name, default: []].append(id)
    }
    devices[id] = device
  }

  /// Changes a device within the draft.
  func put(_ device: Device?, at id: DeviceID) {
    if draft.devices[id] == nil { draft.devices[id] = .some(devices[id]) }
    place(device, at: id)
  }

  /// Before a debt changes within the draft.
  func rememberDebt(of id: DeviceID) { if draft.debts[id] == nil { draft.debts[id] = .some(debts[id]) } }

  func owe(_ parts: Debt.Parts, _ name: String, of id: DeviceID) {
    let before = debts[id, default: Debt()][name]
    guard !parts.isSubset(of: before) else { return }
    rememberDebt(of: id)
    debts[id, default: Debt()][name] = before.union(parts)
    draft.owed.insert(.init(device: id, name: name))
  }

  func publish(_ topic: String, _ message: JSONValue) { publish(topic, message.jsonBytes()) }

  func publish(_ topic: String, _ payload: [UInt8]) { draft.publications.append(Publication(topic: topic, payload: payload)) }

  /// What is answered when the answer to a message could not be stored.
  private func failure(_ event: Event, _ error: any Error) -> Publication? {
    guard case .device(let text, .twinUpdate, let payload, _) = event else { return nil }
    let answer = MessageText.error(
      Rejection(500, "\(error)"), eventID: (try? TwinUpdate(payload))?.eventID ?? "", now: Message.Header.now)
    return Publication(topic: DeviceTopic.device(text, "twin/update/result"), payload: answer.jsonBytes())
  }

  // MARK: Mappers

  /// - Throws: `SQLiteError`.
  func mappers() throws -> [Mapper] { try store?.mappers() ?? [] }

  /// - Throws: `SQLiteError`.
  func keep(_ mapper: Mapper) throws { try store?.put(mapper) }

  /// What mappers have been told, by protocol.
  ///
  /// - Throws: `SQLiteError`.
  func told() throws -> [String: ToldMapper] { try store?.told() ?? [:] }

  /// What can't be written is told again after a restart.
  func remember(_ change: ToldMapper.Change) {
    do { try store?.remember(change) } catch { noteFailure("what a mapper was told can't be stored", error) }
  }
}
