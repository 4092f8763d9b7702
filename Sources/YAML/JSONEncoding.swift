extension JSONValue {
  /// What `value` encodes to. Members stand in the order in which they were encoded, those of a dictionary sorted by key.
  ///
  /// - Throws: whatever the value's `encode(to:)` throws.
  public init(encoding value: some Encodable) throws {
    let node = JSONEncodingNode()
    try node.encode(value, path: [])
    self = node.value
  }
}

/// A value while it is being encoded: shared by the containers that fill it.
private final class JSONEncodingNode {
  private enum Content {
    case single(JSONValue)
    case list([JSONEncodingNode])
    case members([(key: String, node: JSONEncodingNode)])
  }

  private var content: Content = .single(.null)

  var value: JSONValue {
    switch content {
    case .single(let value): value
    case .list(let nodes): .array(nodes.map(\.value))
    case .members(let members): .object(members.map { JSONValue.Member($0.key, $0.node.value) })
    }
  }

  var count: Int { if case .list(let nodes) = content { nodes.count } else { 0 } }

  func set(_ value: JSONValue) { content = .single(value) }

  /// Makes it an object if it is none yet.
  func becomeObject() {
    switch content {
    case .members: break
    case .single(.object(let members)):
      content = .members(
        members.map { member in
          let node = JSONEncodingNode()
          node.set(member.value)
          return (member.key, node)
        })
    default: content = .members([])
    }
  }

  func becomeList() { if case .list = content {} else { content = .list([]) } }

  func member(_ key: String) -> JSONEncodingNode {
    becomeObject()
    let node = JSONEncodingNode()
    guard case .members(var members) = content else { return node }
    content = .single(.null)
    if let index = members.firstIndex(where: { $0.key == key }) { members[index].node = node } else { members.append((key, node)) }
    content = .members(members)
    return node
  }

  func append() -> JSONEncodingNode {
    becomeList()
    let node = JSONEncodingNode()
    guard case .list(var nodes) = content else { return node }
    content = .single(.null)
    nodes.append(node)
    content = .list(nodes)
    return node
  }

  func sortMembers() {
    guard case .members(let members) = content else { return }
    content = .members(members.sorted { $0.key < $1.key })
  }

  func encode<T: Encodable>(_ value: T, path: [any CodingKey]) throws {
    switch value {
    case let value as JSONValue: set(value)
    case let value as String: set(.string(value))
    default:
      try value.encode(to: JSONValueEncoder(node: self, codingPath: path))
      if value is any StringDictionary { sortMembers() }
    }
  }
}

/// Dictionaries whose members have no order of their own.
private protocol StringDictionary {}
extension Dictionary: StringDictionary where Key == String {}

private struct JSONValueEncoder: Encoder {
  let node: JSONEncodingNode
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    node.becomeObject()
    return KeyedEncodingContainer(JSONKeyedEncoding<Key>(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.becomeList()
    return JSONUnkeyedEncoding(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension JSONValueEncoder: SingleValueEncodingContainer {
  func encodeNil() throws { node.set(.null) }
  func encode(_ value: Bool) throws { node.set(.bool(value)) }
  func encode(_ value: String) throws { node.set(.string(value)) }
  func encode(_ value: Double) throws { node.set(try number(value)) }
  func encode(_ value: Float) throws { node.set(try number(value)) }
  func encode(_ value: Int) throws { node.set(.number(String(value))) }
  func encode(_ value: Int8) throws { node.set(.number(String(value))) }
  func encode(_ value: Int16) throws { node.set(.number(String(value))) }
  func encode(_ value: Int32) throws { node.set(.number(String(value))) }
  func encode(_ value: Int64) throws { node.set(.number(String(value))) }
  func encode(_ value: UInt) throws { node.set(.number(String(value))) }
  func encode(_ value: UInt8) throws { node.set(.number(String(value))) }
  func encode(_ value: UInt16) throws { node.set(.number(String(value))) }
  func encode(_ value: UInt32) throws { node.set(.number(String(value))) }
  func encode(_ value: UInt64) throws { node.set(.number(String(value))) }
  func encode<T: Encodable>(_ value: T) throws { try node.encode(value, path: codingPath) }

  private func number(_ value: Double) throws -> JSONValue {
    guard value.isFinite else {
      throw EncodingError.invalidValue(value, .init(codingPath: codingPath, debugDescription: "JSON has no \(value)"))
    }
    return JSONValue(value)
  }

  private func number(_ value: Float) throws -> JSONValue {
    guard value.isFinite, value != value.rounded() else { return try number(Double(value)) }
    return .number("\(value)")
  }
}

private struct JSONKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: JSONEncodingNode
  let codingPath: [any CodingKey]

  private func encoder(_ key: Key) -> JSONValueEncoder {
    JSONValueEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
  }

  func encodeNil(forKey key: Key) throws { try encoder(key).encodeNil() }
  func encode(_ value: Bool, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: String, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Double, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Float, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Int, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Int8, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Int16, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Int32, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: Int64, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: UInt, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: UInt8, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: UInt16, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: UInt32, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode(_ value: UInt64, forKey key: Key) throws { try encoder(key).encode(value) }
  func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try encoder(key).encode(value) }

  func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
    encoder(key).container(keyedBy: keyType)
  }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { encoder(key).unkeyedContainer() }
  func superEncoder() -> any Encoder { JSONValueEncoder(node: node, codingPath: codingPath) }
  func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }
}

private struct JSONUnkeyedEncoding: UnkeyedEncodingContainer {
  let node: JSONEncodingNode
  let codingPath: [any CodingKey]
  var count: Int { node.count }

  private func encoder() -> JSONValueEncoder {
    let key = JSONIndexKey(node.count)
    return JSONValueEncoder(node: node.append(), codingPath: codingPath + [key])
  }

  func encodeNil() throws { try encoder().encodeNil() }
  func encode(_ value: Bool) throws { try encoder().encode(value) }
  func encode(_ value: String) throws { try encoder().encode(value) }
  func encode(_ value: Double) throws { try encoder().encode(value) }
  func encode(_ value: Float) throws { try encoder().encode(value) }
  func encode(_ value: Int) throws { try encoder().encode(value) }
  func encode(_ value: Int8) throws { try encoder().encode(value) }
  func encode(_ value: Int16) throws { try encoder().encode(value) }
  func encode(_ value: Int32) throws { try encoder().encode(value) }
  func encode(_ value: Int64) throws { try encoder().encode(value) }
  func encode(_ value: UInt) throws { try encoder().encode(value) }
  func encode(_ value: UInt8) throws { try encoder().encode(value) }
  func encode(_ value: UInt16) throws { try encoder().encode(value) }
  func encode(_ value: UInt32) throws { try encoder().encode(value) }
  func encode(_ value: UInt64) throws { try encoder().encode(value) }
  func encode<T: Encodable>(_ value: T) throws { try encoder().encode(value) }

  func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
    encoder().container(keyedBy: keyType)
  }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }
  func superEncoder() -> any Encoder { encoder() }
}

extension JSONValue: Encodable {
  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .object(let members):
      var keyed = encoder.container(keyedBy: JSONStringKey.self)
      for member in members { try keyed.encode(member.value, forKey: JSONStringKey(member.key)) }
    case .array(let items):
      var list = encoder.unkeyedContainer()
      for item in items { try list.encode(item) }
    case .null:
      var single = encoder.singleValueContainer()
      try single.encodeNil()
    case .bool(let flag):
      var single = encoder.singleValueContainer()
      try single.encode(flag)
    case .string(let text):
      var single = encoder.singleValueContainer()
      try single.encode(text)
    case .number(let text):
      var single = encoder.singleValueContainer()
      if let whole = Int64(text) { try single.encode(whole) } else { try single.encode(Double(text) ?? 0) }
    }
  }
}
