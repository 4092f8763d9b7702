import YAML

extension JSONValue {
  /// An object of these members.
  static func members(_ members: (String, JSONValue)...) -> JSONValue { .object(members.map { Member($0.0, $0.1) }) }

  static let empty = JSONValue.object([])

  /// The value at a path of keys.
  func at(_ path: String...) -> JSONValue? {
    var value = self
    for key in path {
      guard let next = value[key] else { return nil }
      value = next
    }
    return value
  }

  /// Sets the value at a path, making the objects on the way; nil removes it.
  mutating func set(_ path: String..., to value: JSONValue?) { set(path[...], value) }

  private mutating func set(_ path: ArraySlice<String>, _ value: JSONValue?) {
    guard let first = path.first else { return }
    if path.count == 1 {
      self[first] = value
    } else {
      var child = self[first] ?? .empty
      if child.object == nil { child = .empty }
      child.set(path.dropFirst(), value)
      self[first] = child
    }
  }

  /// Sets a member that is missing or null.
  mutating func fill(_ key: String, _ value: @autoclosure () -> JSONValue) {
    if self[key] == nil || self[key] == .null { self[key] = value() }
  }

  /// Applies `change` to the member, if there is one.
  mutating func change(_ key: String, _ change: (inout JSONValue) -> Void) {
    guard var value = self[key], value != .null else { return }
    change(&value)
    self[key] = value
  }

  /// Applies `change` to each item of the array in the member.
  mutating func changeEach(_ key: String, _ change: (inout JSONValue) -> Void) {
    guard var items = self[key]?.array else { return }
    for index in items.indices { change(&items[index]) }
    self[key] = .array(items)
  }

  /// RFC 7386: members of objects are merged, null removes, everything else replaces.
  mutating func merge(_ patch: JSONValue) {
    guard let members = patch.object else {
      self = patch
      return
    }
    if object == nil { self = .empty }
    for member in members {
      if member.value == .null {
        self[member.key] = nil
      } else {
        var value = self[member.key] ?? .null
        value.merge(member.value)
        self[member.key] = value
      }
    }
  }

  // MARK: Kubernetes objects

  var name: String { at("metadata", "name")?.string ?? "" }
  var namespace: String { at("metadata", "namespace")?.string ?? "" }
  var uid: String { at("metadata", "uid")?.string ?? "" }
  var resourceVersion: String { at("metadata", "resourceVersion")?.string ?? "" }
  var nodeName: String { at("spec", "nodeName")?.string ?? "" }
  var isBeingDeleted: Bool { at("metadata", "deletionTimestamp")?.string != nil }

  /// The object as it stands in answers of typed clients: without kind and version.
  var withoutKind: JSONValue {
    var object = self
    object["kind"] = nil
    object["apiVersion"] = nil
    return object
  }
}
