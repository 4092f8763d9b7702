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
  private let nodeName: String
  private let logger: Logger
  private let executor: ThreadExecutor
  private var store: DeviceStore?
  private(set) var devices: [DeviceID: Device] = [:]
  private(set) var debts: [DeviceID: Debt] = [:]
  /// By name alone, for those who don't say a namespace.
  private var names: [Substring: [DeviceID]] = [:]
  private var draft = Draft()
  let counters = DeviceCounters()

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// What a batch changed and has not yet been written.
  private struct Draft {
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

  func close() { store = nil }

  // MARK: Batches

  /// Takes what came in, in that order.
  func take(_ events: [Event]) -> Outcome {
    for event in events { note(event) }
    do {
      let indebted = Set(draft.owed.map(\.device))
      let changed = Set(draft.devices.keys)
      return Outcome(publications: try commit(), indebted: Array(indebted), changed: changed)
    } catch  where events.count > 1 {
      // One after the other: what can be stored is.
      rollBack()
      return events.reduce(into: Outcome()) { all, event in
        let outcome = take([event])
        all.publications += outcome.publications
        all.indebted += outcome.indebted
        all.changed.formUnion(outcome.changed)
      }
    } catch {
      rollBack()
      counters.storeFailures.increment()
      logger.error("what a device said can't be stored", metadata: ["database": "\(path)", "error": "\(error)"])
      return Outcome(publications: events.compactMap { failure($0, error) })
    }
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
  private func commit() throws -> [Publication] {
    let draft = self.draft
    if !draft.isEmpty {
      guard let store else { throw SQLiteError(code: 14, message: "the database is closed", context: "write \(path)") }
      try store.connection.transaction {
        for id in draft.removed where devices[id] == nil { try store.remove(id) }
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

  private func rollBack() {
    for (id, device) in draft.devices { place(device, at: id) }
    for (id, debt) in draft.debts { debts[id] = debt }
    draft = Draft()
  }

  private func place(_ device: Device?, at id: DeviceID) {
    if device == nil {
      names[id.name]?.removeAll { $0 == id }
      if names[id.name]?.isEmpty == true { names[id.name] = nil }
    } else if devices[id] == nil {
      names[id.name, default: []].append(id)
    }
    devices[id] = device
  }

  /// Changes a device within the draft.
  private func put(_ device: Device?, at id: DeviceID) {
    if draft.devices[id] == nil { draft.devices[id] = .some(devices[id]) }
    place(device, at: id)
  }

  private func owe(_ parts: Debt.Parts, _ name: String, of id: DeviceID) {
    let before = debts[id, default: Debt()][name]
    guard !parts.isSubset(of: before) else { return }
    if draft.debts[id] == nil { draft.debts[id] = .some(debts[id]) }
    debts[id, default: Debt()][name] = before.union(parts)
    draft.owed.insert(.init(device: id, name: name))
  }

  private func publish(_ topic: String, _ message: JSONValue) { publish(topic, message.jsonBytes()) }

  private func publish(_ topic: String, _ payload: [UInt8]) { draft.publications.append(Publication(topic: topic, payload: payload)) }

  // MARK: Devices' messages

  private func note(_ text: String, _ subject: DeviceTopic.Subject, _ payload: [UInt8], _ isFromMapper: Bool) {
    let id = find(text)
    switch subject {
    case .twinGet: answerTwins(text, id, payload)
    case .twinUpdate: updateTwins(text, id, payload, isFromMapper)
    case .twinCloudUpdated: synchroniseTwins(text, id, payload)
    case .stateUpdate: updateState(text, id, payload)
    case .updated: updateAttributes(text, id, payload)
    }
  }

  /// The device that somebody means; a name without a namespace means the only device of that name.
  func find(_ text: String) -> DeviceID? {
    let id = DeviceID(text)
    if devices[id] != nil { return id }
    guard !text.contains("/"), let found = names[text[...]], found.count == 1 else { return nil }
    return found[0]
  }

  private func refuse(_ topic: String, _ rejection: Rejection, eventID: String, now: Int64) {
    counters.refused.increment()
    publish(topic, MessageText.error(rejection, eventID: eventID, now: now))
  }

  private func answerTwins(_ text: String, _ id: DeviceID?, _ payload: [UInt8]) {
    let topic = DeviceTopic.device(text, "twin/get/result")
    let now = Message.Header.now
    guard let eventID = try? MessageReader.eventID(of: payload) else { return refuse(topic, .notARequest, eventID: "", now: now) }
    guard let device = id.flatMap({ devices[$0] }) else {
      return refuse(topic, Rejection(404, "Device \(text) not found while getting twin"), eventID: eventID, now: now)
    }
    let twins = device.twins.filter { !$0.value.isDeleted }.mapValues { MessageText.twin($0, withVersions: false) }
    publish(topic, MessageText.base(eventID, now, [.init("twin", MessageText.properties(twins))]))
  }

  /// - Parameter isFromMapper: What a mapper says of expected values is no wish but what it has seen of one, of an older one perhaps.
  private func updateTwins(_ text: String, _ id: DeviceID?, _ payload: [UInt8], _ isFromMapper: Bool) {
    let topic = DeviceTopic.device(text, "twin/update/result")
    let now = Message.Header.now
    var eventID = ""
    do throws(Rejection) {
      var update = try TwinUpdate(payload)
      eventID = update.eventID
      guard let id, var device = devices[id] else { throw .unknownDevice }
      if isFromMapper {
        for (index, property) in update.properties.enumerated() {
          guard let desired = device.twins[property.name]?.desired, desired != property.patch?.expected else { continue }
          update.properties[index].patch?.expected = nil
        }
      }
      let change = try device.update(update.properties, now: now)
      counters.updates.increment()
      apply(change, device)
      publish(topic, MessageText.base(eventID, now, [.init("twin", MessageText.properties(change.result))]))
      publishChange(text, device, change, eventID: eventID, now: now)
    } catch {
      counters.refused.increment()
      let answer = MessageText.error(error, eventID: eventID, now: now)
      publish(topic, answer)
      // KubeEdge publishes what can't be read under no device's name.
      if [.unreadable, .noTwin, .key, .value].contains(error) { publish(DeviceTopic.device("", "twin/update/result"), answer) }
    }
  }

  private func synchroniseTwins(_ text: String, _ id: DeviceID?, _ payload: [UInt8]) {
    let now = Message.Header.now
    do throws(Rejection) {
      let update = try TwinUpdate(payload)
      guard let id, var device = devices[id] else { throw .unknownDevice }
      let change = device.synchronise(update.properties, now: now)
      counters.updates.increment()
      apply(change, device)
      publishChange(text, device, change, eventID: update.eventID, now: now)
    } catch {
      counters.refused.increment()
      publish(DeviceTopic.device(text, "twin/update/result"), MessageText.error(error, eventID: "", now: now))
    }
  }

  private func adopt(_ id: DeviceID, _ wishes: DeviceWishes, _ version: Int64) {
    let now = Message.Header.now
    var device: Device
    if let known = devices[id] {
      device = known
    } else {
      // The cloud's word of it may have been lost while the node was away.
      device = Device(id: id, name: String(id.name))
      put(device, at: id)
      draft.rows.insert(id)
      publishMembership(added: device, removed: nil)
    }
    let change = device.adopt(wishes, version: version, now: now)
    if !device.hasObject {
      device.hasObject = true
      put(device, at: id)
      draft.rows.insert(id)
    }
    if change.changed.isEmpty { return }
    apply(change, device)
    if !change.document.isEmpty { publishChange(id.text, device, change, eventID: MessageID.make(), now: now) }
  }

  private func apply(_ change: TwinChange, _ device: Device) {
    if change.changed.isEmpty, change.owed.isEmpty { return }
    put(device, at: device.id)
    for name in change.changed { draft.twins.insert(.init(device: device.id, name: name)) }
    for (name, parts) in change.owed { owe(parts, name, of: device.id) }
  }

  private func publishChange(_ text: String, _ device: Device, _ change: TwinChange, eventID: String, now: Int64) {
    if !change.document.isEmpty {
      publish(
        DeviceTopic.device(text, "twin/update/document"),
        MessageText.base(eventID, now, [.init("twin", MessageText.properties(change.document))]))
    }
    if let delta = device.delta(eventID: MessageID.make(), now: now) { publish(DeviceTopic.device(text, "twin/update/delta"), delta) }
  }

  private func updateState(_ text: String, _ id: DeviceID?, _ payload: [UInt8]) {
    let now = Message.Header.now
    guard let id, var device = devices[id], let message = try? MessageReader(payload), let state = try? message.string("state"),
      let isGood = DeviceState.isGood(state)
    else { return counters.refused.increment() }
    device.state = state
    device.lastOnline = isGood ? RFC3339.text(milliseconds: now) : ""
    counters.states.increment()
    put(device, at: id)
    draft.rows.insert(id)
    owe(.state, Debt.stateName, of: id)
    publish(DeviceTopic.device(text, "state/update/result"), CloudReport.state(of: device, now: now))
  }

  private func updateAttributes(_ text: String, _ id: DeviceID?, _ payload: [UInt8]) {
    guard let id, var device = devices[id], let attributes = try? AttributePatch.read(payload) else { return counters.refused.increment() }
    let changed = device.update(attributes)
    if changed.isEmpty { return }
    put(device, at: id)
    for name in changed.keys { draft.attributes.insert(.init(device: id, name: name)) }
    publish(
      DeviceTopic.device(text, "updated"),
      MessageText.base(
        MessageID.make(), Message.Header.now,
        [.init("attributes", MessageText.properties(changed.mapValues(MessageText.attribute)))]))
  }

  // MARK: Membership

  private func answerMembership(_ payload: [UInt8]) {
    let topic = DeviceTopic.node(nodeName, "membership/get/result")
    let now = Message.Header.now
    guard let eventID = try? MessageReader.eventID(of: payload) else { return refuse(topic, .notARequest, eventID: "", now: now) }
    let devices = devices.values.sorted { $0.id.text < $1.id.text }.map { MessageText.device($0, withTwins: false) }
    publish(topic, MessageText.base(eventID, now, [.init("devices", .array(devices))]))
  }

  private func add(_ new: MembershipUpdate.Added) {
    if var device = devices[new.id] {
      guard let attributes = new.attributes else { return }
      for name in Set(device.attributes.keys).union(attributes.keys) { draft.attributes.insert(.init(device: new.id, name: name)) }
      device.attributes = attributes
      return put(device, at: new.id)
    }
    var device = Device(id: new.id, name: new.name, description: new.description, state: new.state)
    device.attributes = new.attributes ?? [:]
    let change = device.synchronise(new.twins, now: Message.Header.now)
    put(device, at: new.id)
    draft.rows.insert(new.id)
    for name in device.attributes.keys { draft.attributes.insert(.init(device: new.id, name: name)) }
    for name in change.changed { draft.twins.insert(.init(device: new.id, name: name)) }
    publishMembership(added: device, removed: nil)
  }

  private func remove(_ id: DeviceID) {
    guard let device = devices[id] else { return }
    put(nil, at: id)
    draft.removed.insert(id)
    if draft.debts[id] == nil { draft.debts[id] = .some(debts[id]) }
    debts[id] = nil
    publishMembership(added: nil, removed: device)
  }

  private func publishMembership(added: Device?, removed: Device?) {
    func list(_ device: Device?) -> JSONValue { device.map { .array([MessageText.device($0, withTwins: true)]) } ?? .null }
    publish(
      DeviceTopic.node(nodeName, "membership/updated"),
      MessageText.base(
        MessageID.make(), Message.Header.now, [.init("added_devices", list(added)), .init("removed_devices", list(removed))]))
  }

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

  // MARK: What the cloud is owed

  /// What is to be told of a device; nil if the cloud knows everything.
  func report(of id: DeviceID) -> CloudReport? {
    guard let device = devices[id], let debt = debts[id], !debt.isEmpty else { return nil }
    return CloudReport(of: device, debt, now: Message.Header.now)
  }

  /// The cloud has taken a report. What changed since stays owed, and what it was told for the first time.
  func confirm(_ report: CloudReport) {
    guard var device = devices[report.id] else { return }
    if draft.debts[report.id] == nil { draft.debts[report.id] = .some(debts[report.id]) }
    for (name, told) in report.told {
      if name == Debt.stateName {
        if device.state == report.state { pay(name, of: report.id) }
      } else if let twin = device.twins[name], twin.expectedVersion == told.expectedVersion, twin.actualVersion == told.actualVersion {
        if twin.isShown { pay(name, of: report.id) }
      }
      if device.twins[name]?.isShown == false {
        device.twins[name]?.isShown = true
        draft.twins.insert(.init(device: report.id, name: name))
      }
    }
    put(device, at: report.id)
    do {
      _ = try commit()
    } catch {
      // It is told once more.
      rollBack()
      counters.storeFailures.increment()
    }
  }

  private func pay(_ name: String, of id: DeviceID) {
    debts[id]?[name] = []
    if debts[id]?.isEmpty == true { debts[id] = nil }
    draft.owed.insert(.init(device: id, name: name))
  }

  /// Devices that the cloud's objects stood behind and stand behind no more, as far as `objects` are all there are.
  func strays(_ objects: Set<DeviceID>) -> [DeviceID] { devices.values.filter { $0.hasObject && !objects.contains($0.id) }.map(\.id) }

  /// Devices of which the cloud has still to be told something.
  var indebted: [DeviceID] { Array(debts.keys) }
}
