import YAML

/// What a message asks of one property.
struct TwinPatch: Sendable, Hashable {
  /// Nil if the message doesn't speak of the value.
  var expected: String?
  var actual: String?
  var optional: Bool?
  /// Nil if the message has no metadata.
  var type: String?
  var expectedVersion: Twin.Version?
  var actualVersion: Twin.Version?
}

/// `…/twin/update`, `…/twin/cloud_updated`: what somebody asks of a device's properties.
struct TwinUpdate: Sendable, Hashable {
  var eventID: String
  /// In the order of the message; nil means that the property is to be deleted.
  var properties: [(name: String, patch: TwinPatch?)]

  static func == (a: TwinUpdate, b: TwinUpdate) -> Bool {
    a.eventID == b.eventID && a.properties.elementsEqual(b.properties) { $0 == $1 }
  }

  func hash(into hasher: inout Hasher) { hasher.combine(eventID) }

  /// - Throws: `Rejection`, in KubeEdge's words.
  init(_ payload: [UInt8]) throws(Rejection) {
    let message: MessageReader
    do { message = try MessageReader(payload) } catch { throw .unreadable }
    do {
      eventID = try message.string("event_id") ?? ""
      _ = try message.integer("timestamp")
      guard let twins = try message.members("twin") else { throw Rejection.noTwin }
      properties = try twins.map { ($0.key, try Self.patch($0.value)) }
    } catch let rejection as Rejection {
      throw rejection
    } catch {
      throw .unreadable
    }
    for property in properties {
      guard TwinRules.isKey(property.name) else { throw .key }
      for value in [property.patch?.expected, property.patch?.actual] {
        if let value, !value.isEmpty, !TwinRules.isValue(value) { throw .value }
      }
    }
  }

  static func patch(_ value: JSONValue) throws -> TwinPatch? {
    if value == .null { return nil }
    let reader = try MessageReader(value)
    var patch = TwinPatch()
    patch.expected = try Self.value(reader.value("expected"))
    patch.actual = try Self.value(reader.value("actual"))
    patch.optional = try reader.bool("optional")
    if let metadata = reader.value("metadata") { patch.type = try MessageReader(metadata).string("type") ?? "" }
    patch.expectedVersion = try version(reader.value("expected_version"))
    patch.actualVersion = try version(reader.value("actual_version"))
    return patch
  }

  private static func value(_ value: JSONValue?) throws -> String? {
    guard let value else { return nil }
    let reader = try MessageReader(value)
    if let metadata = reader.value("metadata") { _ = try MessageReader(metadata).integer("timestamp") }
    return try reader.string("value")
  }

  private static func version(_ value: JSONValue?) throws -> Twin.Version? {
    guard let value else { return nil }
    let reader = try MessageReader(value)
    return Twin.Version(cloud: try reader.integer("cloud") ?? 0, edge: try reader.integer("edge") ?? 0)
  }
}
