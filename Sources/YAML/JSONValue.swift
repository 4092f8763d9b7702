/// Any JSON value, with object keys in their order of appearance.
///
/// Numbers keep the text they were written as, so that nothing is lost between reading and writing.
public enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  /// The number's JSON text: `1`, `-2.5`, `1e3`.
  case number(String)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// One key of an object and its value.
  public struct Member: Sendable, Hashable {
    public var key: String
    public var value: JSONValue
    public init(_ key: String, _ value: JSONValue) {
      self.key = key
      self.value = value
    }
  }
}

extension JSONValue {
  /// The member of that key; setting nil removes it, setting a new key appends it. A value that is no object reads as empty.
  public subscript(key: String) -> JSONValue? {
    get {
      guard case .object(let members) = self else { return nil }
      return members.first { $0.key == key }?.value
    }
    set {
      var members: [Member] = []
      if case .object(let existing) = self { members = existing }
      if let index = members.firstIndex(where: { $0.key == key }) {
        if let newValue { members[index].value = newValue } else { members.remove(at: index) }
      } else if let newValue {
        members.append(Member(key, newValue))
      }
      self = .object(members)
    }
  }

  public var string: String? { if case .string(let text) = self { text } else { nil } }
  public var int: Int64? { if case .number(let text) = self { Int64(text) } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [JSONValue]? { if case .array(let items) = self { items } else { nil } }
  public var object: [Member]? { if case .object(let members) = self { members } else { nil } }
}
