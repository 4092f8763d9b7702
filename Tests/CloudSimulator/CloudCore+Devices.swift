import Core
import YAML

/// The device controller's part.
extension CloudCore {
  private static let deviceVersion = "devices.kubeedge.io/v1beta1"

  // MARK: To the node

  /// Brings a Device, and the model that it needs there, to its node. What is lost on the way comes with the next comparison, but not the
  /// message about the membership.
  func deviceChanged(_ event: ObjectStore.Event) {
    let node = event.object.at("spec", "nodeName")?.string ?? ""
    guard !node.isEmpty else { return }
    switch event.kind {
    case .added:
      sendMembership(added: event.object, removed: nil, to: node)
      // A model that the node has is not sent again.
      if let model = model(of: event.object) { sendDevice(.insert, "devicemodel", model, to: node) }
      sendDevice(.insert, "device", event.object, to: node)
    case .modified:
      if let model = model(of: event.object) { sendDevice(.update, "devicemodel", model, to: node) }
      sendDevice(.update, "device", event.object, to: node)
    case .deleted:
      sendMembership(added: nil, removed: event.object, to: node)
      if others(like: event.object, on: node).isEmpty, let model = model(of: event.object) {
        sendDevice(.delete, "devicemodel", model, to: node)
      }
      sendDevice(.delete, "device", event.object, to: node)
    }
  }

  private func model(of device: JSONValue) -> JSONValue? {
    guard let name = device.at("spec", "deviceModelRef", "name")?.string else { return nil }
    return store.get(.init(type: "devicemodel", namespace: device.namespace, name: name))
  }

  /// The other devices of the node that have the same model.
  private func others(like device: JSONValue, on node: String) -> [JSONValue] {
    store.list("device").filter { other in
      other.uid != device.uid && other.namespace == device.namespace && other.at("spec", "nodeName") == .string(node)
        && other.at("spec", "deviceModelRef", "name") == device.at("spec", "deviceModelRef", "name")
    }
  }

  private func sendMembership(added: JSONValue?, removed: JSONValue?, to node: String) {
    func list(_ device: JSONValue?) -> JSONValue {
      guard let device else { return .null }
      return .array([.members(("id", .string("\(device.namespace)/\(device.name)")), ("name", .string(device.name)))])
    }
    let content = JSONValue.members(
      ("event_id", .string(MessageID.make())), ("timestamp", .number(String(Message.Header.now))), ("added_devices", list(added)),
      ("removed_devices", list(removed)))
    session(of: node)?.send(
      Message(
        route: .init(source: "devicecontroller", group: "twin", operation: .update, resource: "membership"), content: content.jsonBytes()))
  }

  private func sendDevice(_ operation: Message.Operation, _ type: String, _ object: JSONValue, to node: String) {
    let message = Message(
      header: .init(resourceVersion: object.resourceVersion),
      route: .init(
        source: "devicecontroller", group: "resource", operation: operation, resource: "\(object.namespace)/\(type)/\(object.name)"),
      content: object.jsonBytes())
    deliver(message, object, to: node)
  }

  // MARK: From the node

  /// Puts what a device reports into its DeviceStatus and confirms it; a question for the members of the node is never answered, nor is a
  /// report of a device that isn't there.
  func deviceReported(_ message: Message, _ session: NodeSession) {
    let parts = message.resource.split(separator: "/").map(String.init)
    guard message.operation == .update, parts.count >= 5, parts[0] == "device", let report = try? JSONValue(json: message.payload),
      let device = store.get(.init(type: "device", namespace: parts[1], name: parts[2]))
    else { return }
    let key = ObjectStore.Key(type: "devicestatus", namespace: parts[1], name: parts[2])
    if store.get(key) == nil {
      let metadata = JSONValue.members(("name", .string(parts[2])), ("namespace", .string(parts[1])))
      _ = try? store.create(
        .members(
          ("kind", .string("DeviceStatus")), ("apiVersion", .string(Self.deviceVersion)), ("metadata", metadata), ("spec", .empty)))
    }
    _ = try? store.update(key) { status in
      if message.resource.contains("state/update") {
        for member in ["state", "lastOnlineTime"] { status.set("status", member, to: report.at("device", member) ?? .string("")) }
      } else {
        status.set("status", "twins", to: Self.twins(report, of: device, before: status.at("status", "twins")?.array ?? []))
      }
    }
    progress.send(())
    session.send(
      Message(
        header: .init(parentID: message.id),
        route: .init(source: "devicecontroller", group: "twin", operation: .response, resource: "twin"),
        content: Array("\"OK\"".utf8)))
  }

  /// As the real cloud does it: the first report of a property makes its entry, the ones after that fill it.
  private static func twins(_ report: JSONValue, of device: JSONValue, before: [JSONValue]) -> JSONValue {
    let names = Set((device.at("spec", "properties")?.array ?? []).compactMap { $0["name"]?.string })
    var twins = before
    for member in report["twin"]?.object ?? [] where names.contains(member.key) {
      guard let index = twins.firstIndex(where: { $0["propertyName"] == .string(member.key) }) else {
        twins.append(.members(("propertyName", .string(member.key))))
        continue
      }
      for (reported, told) in [("reported", "actual"), ("observedDesired", "expected")] {
        guard let value = member.value.at(told, "value"), value != .null else { continue }
        var metadata = JSONValue.empty
        metadata["timestamp"] = .string(String(member.value.at(told, "metadata", "timestamp")?.int ?? 0))
        if let type = member.value.at("metadata", "type") { metadata["type"] = type }
        twins[index][reported] = .members(("value", value), ("metadata", metadata))
      }
    }
    return .array(twins)
  }
}

extension CloudSimulator {
  /// A property's reported value in the DeviceStatus of a device; nil if the cloud hasn't seen one.
  public func reported(_ property: String, of device: String, namespace: String = "default") -> String? {
    get("DeviceStatus", namespace: namespace, name: device)?.at("status", "twins")?.array?
      .first { $0["propertyName"] == .string(property) }?.at("reported", "value")?.string
  }
}
