import Core
import YAML

/// Which devices the node has.
extension DeviceBook {
  func answerMembership(_ payload: [UInt8]) {
    let topic = DeviceTopic.node(nodeName, "membership/get/result")
    let now = Message.Header.now
    guard let eventID = try? MessageReader.eventID(of: payload) else { return refuse(topic, .notARequest, eventID: "", now: now) }
    let devices = devices.values.sorted { $0.id.text < $1.id.text }.map { MessageText.device($0, withTwins: false) }
    publish(topic, MessageText.base(eventID, now, [.init("devices", .array(devices))]))
  }

  func add(_ new: MembershipUpdate.Added) {
    if var device = devices[new.id] {
      if let attributes = new.attributes {
        for name in Set(device.attributes.keys).union(attributes.keys) { draft.attributes.insert(.init(device: new.id, name: name)) }
        device.attributes = attributes
      }
      // The clouds of 2019 say here what they wish.
      let now = Message.Header.now
      let change = device.synchronise(new.twins, now: now)
      if device != devices[new.id] { put(device, at: new.id) }
      apply(change, device)
      if !change.document.isEmpty { publishChange(new.id.text, device, change, eventID: MessageID.make(), now: now) }
      return
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

  func remove(_ id: DeviceID) {
    guard let device = devices[id] else { return }
    put(nil, at: id)
    draft.removed.insert(id)
    rememberDebt(of: id)
    debts[id] = nil
    publishMembership(added: nil, removed: device)
  }

  func publishMembership(added: Device?, removed: Device?) {
    func list(_ device: Device?) -> JSONValue { device.map { .array([MessageText.device($0, withTwins: true)]) } ?? .null }
    publish(
      DeviceTopic.node(nodeName, "membership/updated"),
      MessageText.base(
        MessageID.make(), Message.Header.now, [.init("added_devices", list(added)), .init("removed_devices", list(removed))]))
  }
}
