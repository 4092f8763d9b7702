import YAML

extension Device {
  /// Does what somebody at the edge asks of the properties: all of it, or nothing.
  ///
  /// Each value that is named counts as a change, whether it differs or not, takes `now` as its time and adds one to the edge's version.
  /// - Throws: `Rejection`; the device is as it was.
  mutating func update(_ properties: [(name: String, patch: TwinPatch?)], now: Int64) throws(Rejection) -> TwinChange {
    var device = self
    var change = TwinChange()
    for (name, patch) in properties {
      switch (device.twins[name], patch) {
      case (nil, nil): throw .noTwinToDelete
      case (nil, let patch?): device.twins[name] = try Self.added(name, patch, modelTypes[name], now, &change)
      case (let twin?, nil): device.twins[name] = Self.deleted(name, twin, &change)
      case (let twin?, let patch?): device.twins[name] = try Self.changed(name, twin, patch, modelTypes[name], now, &change)
      }
    }
    self = device
    return change
  }

  private static func added(
    _ name: String, _ patch: TwinPatch, _ modelType: String?, _ now: Int64, _ change: inout TwinChange
  ) throws(Rejection) -> Twin {
    var twin = Twin(optional: patch.optional ?? true, type: patch.type ?? assumed(modelType ?? Twin.standardType, patch))
    twin.isTypeAssumed = patch.type == nil && modelType != nil
    var parts: Debt.Parts = .definition
    if let value = patch.expected {
      try TwinRules.check(value, type: twin.type)
      twin.expected = Twin.Value(text: value, timestamp: now)
      twin.expectedVersion = Twin.Version(edge: 1)
      parts.insert(.expected)
    }
    if let value = patch.actual {
      try TwinRules.check(value, type: twin.type)
      twin.actual = Twin.Value(text: value, timestamp: now)
      twin.actualVersion = Twin.Version(edge: 1)
      parts.insert(.actual)
    }
    change.note(name, last: nil, current: twin)
    change.result[name] = MessageText.twin(twin, withVersions: false)
    change.owed[name] = parts
    return twin
  }

  /// A twin is deleted if it is optional. Its row stays for its versions; one that has none can't be deleted.
  private static func deleted(_ name: String, _ twin: Twin, _ change: inout TwinChange) -> Twin {
    guard twin.optional, !twin.isDeleted, twin.expectedVersion != nil || twin.actualVersion != nil else { return twin }
    var deleted = twin
    deleted.expected = nil
    deleted.actual = nil
    deleted.type = Twin.deletedType
    deleted.expectedVersion?.countEdge()
    deleted.actualVersion?.countEdge()
    change.note(name, last: twin, current: nil)
    change.result[name] = .null
    change.owed[name] = [.expected, .actual, .definition]
    return deleted
  }

  /// A deleted twin comes back as what the message says it is, and what only the cloud has spoken of so far is what the edge first says it is.
  private static func type(of twin: Twin, _ patch: TwinPatch, _ modelType: String?) -> String {
    if twin.isDeleted { return patch.type ?? assumed(modelType ?? Twin.standardType, patch) }
    guard twin.isTypeAssumed else { return twin.type }
    guard let type = patch.type else { return assumed(twin.type, patch) }
    return twin.isUntouchedByEdge ? type : twin.type
  }

  /// A type that nobody named counts as long as the values have it.
  private static func assumed(_ type: String, _ patch: TwinPatch) -> String {
    let values = [patch.expected, patch.actual].compactMap { $0 }
    return values.allSatisfy { (try? TwinRules.check($0, type: type)) != nil } ? type : Twin.standardType
  }

  private static func changed(
    _ name: String, _ twin: Twin, _ patch: TwinPatch, _ modelType: String?, _ now: Int64, _ change: inout TwinChange
  ) throws(Rejection) -> Twin {
    var new = twin
    var parts: Debt.Parts = []
    var told: [JSONValue.Member] = []
    let type = Self.type(of: twin, patch, modelType)
    if let text = patch.expected {
      // Without an expected value there is nothing yet that a wrong one could take the place of, KubeEdge thinks.
      if twin.expected != nil { try TwinRules.check(text, type: type) }
      let value = Twin.Value(text: text, timestamp: now)
      new.expected = value
      new.expectedVersion = twin.expectedVersion ?? Twin.Version()
      new.expectedVersion?.countEdge()
      parts.insert(.expected)
      told.append(JSONValue.Member("expected", MessageText.value(value)))
    }
    if let text = patch.actual {
      try TwinRules.check(text, type: type)
      let value = Twin.Value(text: text, timestamp: now)
      new.actual = value
      new.actualVersion = twin.actualVersion ?? Twin.Version()
      new.actualVersion?.countEdge()
      parts.insert(.actual)
      told.append(JSONValue.Member("actual", MessageText.value(value)))
    }
    let losesOptional = twin.optional && patch.optional == false
    if losesOptional { new.optional = false }
    new.type = type
    if patch.type == type { new.isTypeAssumed = false } else if twin.isDeleted { new.isTypeAssumed = modelType != nil }
    if !parts.isEmpty || losesOptional { told.append(JSONValue.Member("optional", .bool(new.optional))) }
    if !parts.isEmpty || twin.isDeleted { told.append(JSONValue.Member("metadata", MessageText.type(new.type))) }
    let namesAnotherType = patch.type.map { $0 != twin.type } ?? false
    guard !parts.isEmpty || losesOptional || twin.isDeleted || namesAnotherType else { return twin }
    if losesOptional || twin.isDeleted { parts.insert(.definition) }
    change.note(name, last: twin, current: new)
    change.result[name] = .object(told)
    change.owed[name] = parts
    return new
  }
}
