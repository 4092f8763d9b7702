import YAML

/// Reads the members of a JSON object as KubeEdge's modules do: names compare without case, what isn't known is skipped, `null` counts as
/// absent, and a value of another type makes the whole message unreadable.
struct MessageReader {
  struct Unreadable: Error {}

  private let members: [JSONValue.Member]

  /// - Throws: `Unreadable` if it is no JSON object.
  init(_ payload: [UInt8]) throws(Unreadable) {
    guard let value = try? JSONValue(json: payload) else { throw Unreadable() }
    try self.init(value)
  }

  init(_ value: JSONValue) throws(Unreadable) {
    switch value {
    case .object(let members): self.members = members
    case .null: members = []
    default: throw Unreadable()
    }
  }

  /// The id of a request that has nothing but an id and a time.
  static func eventID(of payload: [UInt8]) throws(Unreadable) -> String {
    let message = try MessageReader(payload)
    _ = try message.integer("timestamp")
    return try message.string("event_id") ?? ""
  }

  /// The last member of that name; nil if it is absent or null.
  func value(_ name: String) -> JSONValue? {
    let found = members.last { $0.key == name } ?? members.last { $0.key.lowercased() == name }
    guard let value = found?.value, value != .null else { return nil }
    return value
  }

  func string(_ name: String) throws(Unreadable) -> String? {
    guard let value = value(name) else { return nil }
    guard let text = value.string else { throw Unreadable() }
    return text
  }

  func integer(_ name: String) throws(Unreadable) -> Int64? {
    guard let value = value(name) else { return nil }
    guard let number = value.int else { throw Unreadable() }
    return number
  }

  func bool(_ name: String) throws(Unreadable) -> Bool? {
    guard let value = value(name) else { return nil }
    guard let flag = value.bool else { throw Unreadable() }
    return flag
  }

  /// The members of an object, each name once: the last one counts.
  func members(_ name: String) throws(Unreadable) -> [JSONValue.Member]? {
    guard let value = value(name) else { return nil }
    guard let members = value.object else { throw Unreadable() }
    var seen: Set<String> = []
    return members.reversed().filter { seen.insert($0.key).inserted }.reversed()
  }

  func list(_ name: String) throws(Unreadable) -> [JSONValue]? {
    guard let value = value(name) else { return nil }
    guard let list = value.array else { throw Unreadable() }
    return list
  }
}
