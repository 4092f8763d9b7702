import YAML

/// What a message asks of one attribute.
struct AttributePatch: Sendable, Hashable {
  var value: String
  var optional: Bool?
  var type: String?

  /// The attributes of a message `…/updated`; nil stands for one that is to go.
  static func read(_ payload: [UInt8]) throws -> [(name: String, patch: AttributePatch?)] {
    try (MessageReader(payload).members("attributes") ?? []).map { ($0.key, try patch($0.value)) }
  }

  static func patch(_ value: JSONValue) throws -> AttributePatch? {
    if value == .null { return nil }
    let reader = try MessageReader(value)
    let type = try reader.value("metadata").map { try MessageReader($0).string("type") ?? "" }
    return AttributePatch(value: try reader.string("value") ?? "", optional: try reader.bool("optional"), type: type)
  }

  var attribute: Attribute { Attribute(value: value, optional: optional ?? true, type: type ?? Twin.standardType) }
}

extension Device {
  /// Does what is asked of the attributes. Returns those that changed; nil for those that are gone.
  mutating func update(_ patches: [(name: String, patch: AttributePatch?)]) -> [String: Attribute?] {
    var changed: [String: Attribute?] = [:]
    for (name, patch) in patches {
      let old = attributes[name]
      var new = old
      if let patch {
        new = old ?? patch.attribute
        new?.value = patch.value
        if let type = patch.type { new?.type = type }
        // Once needed, always needed.
        if patch.optional == false { new?.optional = false }
      } else if old?.optional == true {
        new = nil
      }
      guard new != old else { continue }
      attributes[name] = new
      changed[name] = .some(new)
    }
    return changed
  }
}
