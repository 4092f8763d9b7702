import Core
import KubernetesAPI
import YAML

/// What devices, programs and mappers say, and what Device objects wish.
extension DeviceBook {
  func note(_ text: String, _ subject: DeviceTopic.Subject, _ payload: [UInt8], _ isFromMapper: Bool) {
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

  func refuse(_ topic: String, _ rejection: Rejection, eventID: String, now: Int64) {
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

  /// - Parameter isFromMapper: What a mapper says of expected values is no wish but what it has seen of the cloud's: of an older one perhaps, or
  ///   of one in whose place somebody at the edge has put another.
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
          guard let twin = device.twins[property.name], twin.desired != nil, twin.expected?.text != property.patch?.expected else {
            continue
          }
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

  func adopt(_ id: DeviceID, _ wishes: DeviceWishes, _ version: Int64) {
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
      draft.rows.insert(id)
    }
    // Nothing new is no change: nobody who watches is woken for it.
    if device != devices[id] { put(device, at: id) }
    if change.changed.isEmpty { return }
    apply(change, device)
    if !change.document.isEmpty { publishChange(id.text, device, change, eventID: MessageID.make(), now: now) }
  }

  func apply(_ change: TwinChange, _ device: Device) {
    if change.changed.isEmpty, change.owed.isEmpty { return }
    put(device, at: device.id)
    for name in change.changed { draft.twins.insert(.init(device: device.id, name: name)) }
    for (name, parts) in change.owed { owe(parts, name, of: device.id) }
  }

  func publishChange(_ text: String, _ device: Device, _ change: TwinChange, eventID: String, now: Int64) {
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
    device.lastOnline = isGood ? Timestamp(seconds: now / 1000).description : ""
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
}
