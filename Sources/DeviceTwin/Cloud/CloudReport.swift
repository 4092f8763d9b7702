import Core
import YAML

/// What the cloud is told of a device: one message about its properties, one about its state.
struct CloudReport: Sendable {
  /// How a property was when it was told, and which parts of it were.
  struct Told: Sendable, Hashable {
    /// Nil for the device's state.
    var twin: Twin?
    var parts: Debt.Parts

    /// Whether the property is as it was told; that the cloud shows it is no part of it.
    func isStill(_ twin: Twin) -> Bool {
      var told = self.twin
      told?.isShown = twin.isShown
      return told == twin
    }
  }

  let id: DeviceID
  /// By name; the device's state stands under `Debt.stateName`.
  let told: [String: Told]
  /// The state that is told; nil if it isn't.
  let state: String?
  let messages: [Message]

  init(of device: Device, _ debt: Debt, now: Int64) {
    id = device.id
    var told: [String: Told] = [:]
    var messages: [Message] = []
    var properties: [String: JSONValue] = [:]
    for (name, parts) in debt.properties {
      guard let twin = device.twins[name] else { continue }
      told[name] = Told(twin: twin, parts: parts)
      properties[name] = Self.property(twin, parts)
    }
    if !properties.isEmpty {
      messages.append(
        Self.message(
          "device/\(device.id)/twin/edge_updated",
          MessageText.base(MessageID.make(), now, [.init("twin", MessageText.properties(properties))])))
    }
    if debt.owesState {
      told[Debt.stateName] = Told(parts: .state)
      // KubeEdge sends this as the text of its JSON.
      messages.append(Self.message("device/\(device.id)/state/update", .string(Self.state(of: device, now: now).jsonText())))
    }
    state = debt.owesState ? device.state : nil
    self.told = told
    self.messages = messages
  }

  /// The parts of a property that are owed, with their versions.
  private static func property(_ twin: Twin, _ parts: Debt.Parts) -> JSONValue {
    var told = twin
    if !parts.contains(.expected) {
      told.expected = nil
      told.expectedVersion = nil
    }
    if !parts.contains(.actual) {
      told.actual = nil
      told.actualVersion = nil
    }
    return MessageText.twin(told, withVersions: true)
  }

  private static func message(_ resource: String, _ content: JSONValue) -> Message {
    Message(
      route: .init(source: ModuleName.twin.rawValue, group: "resource", operation: .update, resource: resource),
      content: content.jsonBytes())
  }

  /// `…/state/update/result` and its like for the cloud.
  static func state(of device: Device, now: Int64) -> JSONValue {
    var members: [JSONValue.Member] = []
    for (key, text) in [("name", device.name), ("state", device.state), ("lastOnlineTime", device.lastOnline)] where !text.isEmpty {
      members.append(.init(key, .string(text)))
    }
    return MessageText.base(MessageID.make(), now, [.init("device", .object(members))])
  }
}
