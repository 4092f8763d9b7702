import YAML

/// What the cloud says of the node's devices.
struct MembershipUpdate: Sendable {
  struct Added: Sendable {
    var id: DeviceID
    var name: String
    var description = ""
    var state = ""
    /// Nil if the message says nothing of them.
    var attributes: [String: Attribute]?
    var twins: [(name: String, patch: TwinPatch?)] = []
  }

  var added: [Added]
  var removed: [DeviceID]

  /// Reads `{"added_devices":[…],"removed_devices":[…]}`, or `{"devices":[…]}` of a full list.
  /// - Throws: `MessageReader.Unreadable`. Devices without an id are left out.
  init(_ payload: [UInt8]) throws {
    let message = try MessageReader(payload)
    added = try ((message.list("added_devices") ?? []) + (message.list("devices") ?? [])).compactMap(Self.added)
    removed = try (message.list("removed_devices") ?? []).compactMap { try Self.added($0)?.id }
  }

  private static func added(_ value: JSONValue) throws -> Added? {
    let reader = try MessageReader(value)
    guard let id = try reader.string("id"), !id.isEmpty else { return nil }
    var device = Added(id: DeviceID(id), name: try reader.string("name") ?? String(DeviceID(id).name))
    device.description = try reader.string("description") ?? ""
    device.state = try reader.string("state") ?? ""
    device.attributes = try reader.members("attributes").map { members in
      Dictionary(
        uniqueKeysWithValues: try members.compactMap { member in try AttributePatch.patch(member.value).map { (member.key, $0.attribute) } }
      )
    }
    device.twins = try (reader.members("twin") ?? []).map { ($0.key, try TwinUpdate.patch($0.value)) }
    return device
  }
}
