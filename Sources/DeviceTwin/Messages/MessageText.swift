import Core
import YAML

/// Messages about devices as JSON.
enum MessageText {
  typealias Member = JSONValue.Member

  /// `{"event_id":…,"timestamp":…, …}`
  static func base(_ eventID: String, _ now: Int64, _ more: [Member] = []) -> JSONValue {
    .object([Member("event_id", .string(eventID)), Member("timestamp", .number(String(now)))] + more)
  }

  /// - Parameter rejection: its code is left out if it is zero.
  static func error(_ rejection: Rejection, eventID: String, now: Int64) -> JSONValue {
    base(eventID, now, [Member("code", .number(String(rejection.code))), Member("reason", .string(rejection.reason))])
  }

  /// A property; nil stands for one that was deleted.
  static func twin(_ twin: Twin?, withVersions: Bool) -> JSONValue {
    guard let twin else { return .null }
    var members: [Member] = []
    if let expected = twin.expected { members.append(Member("expected", value(expected))) }
    if let actual = twin.actual { members.append(Member("actual", value(actual))) }
    members.append(Member("optional", .bool(twin.optional)))
    members.append(Member("metadata", type(twin.type)))
    if withVersions {
      if let version = twin.expectedVersion { members.append(Member("expected_version", self.version(version))) }
      if let version = twin.actualVersion { members.append(Member("actual_version", self.version(version))) }
    }
    return .object(members)
  }

  static func value(_ value: Twin.Value) -> JSONValue {
    .object([
      Member("value", .string(value.text)), Member("metadata", .object([Member("timestamp", .number(String(value.timestamp)))])),
    ])
  }

  static func type(_ type: String) -> JSONValue { .object(type.isEmpty ? [] : [Member("type", .string(type))]) }

  static func version(_ version: Twin.Version) -> JSONValue {
    .object([Member("cloud", .number(String(version.cloud))), Member("edge", .number(String(version.edge)))])
  }

  /// `{name: …}`, in the order of the names: the same state is always the same text.
  static func properties(_ properties: [String: JSONValue]) -> JSONValue {
    .object(properties.sorted { $0.key < $1.key }.map { Member($0.key, $0.value) })
  }

  static func attribute(_ attribute: Attribute?) -> JSONValue {
    guard let attribute else { return .null }
    return .object([
      Member("value", .string(attribute.value)), Member("optional", .bool(attribute.optional)), Member("metadata", type(attribute.type)),
    ])
  }

  /// A device; empty members are left out.
  static func device(_ device: Device, withTwins: Bool) -> JSONValue {
    var members = [Member("id", .string(device.id.text))]
    for (key, text) in [
      ("name", device.name), ("description", device.description), ("state", device.state), ("last_online", device.lastOnline),
    ] where !text.isEmpty {
      members.append(Member(key, .string(text)))
    }
    if !device.attributes.isEmpty { members.append(Member("attributes", properties(device.attributes.mapValues(attribute)))) }
    if withTwins, !device.twins.isEmpty {
      members.append(Member("twin", properties(device.twins.mapValues { twin($0.isDeleted ? nil : $0, withVersions: false) })))
    }
    return .object(members)
  }
}
