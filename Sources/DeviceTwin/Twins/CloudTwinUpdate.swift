extension Device {
  /// Does what the cloud asks of the properties with versions, as the clouds of 2019 do. What has a lower version than ours is refused, one
  /// property at a time, and the cloud is told ours.
  mutating func synchronise(_ properties: [(name: String, patch: TwinPatch?)], now: Int64) -> TwinChange {
    var change = TwinChange()
    for (name, patch) in properties {
      guard let patch else { continue }
      if let twin = twins[name] {
        twins[name] =
          patch.type == Twin.deletedType
          ? Self.deletedByCloud(name, twin, patch, &change) : Self.changedByCloud(name, twin, patch, now, &change)
      } else if let twin = Self.addedByCloud(patch, now) {
        twins[name] = twin
        change.note(name, last: nil, current: twin)
      }
    }
    return change
  }

  /// Takes over a version, or nil if ours is newer.
  private static func adopt(_ asked: Twin.Version?, over own: Twin.Version?) -> Twin.Version? {
    guard let asked else { return nil }
    let own = own ?? Twin.Version()
    return own.cloud > asked.cloud || own.edge > asked.edge ? nil : asked
  }

  private static func addedByCloud(_ patch: TwinPatch, _ now: Int64) -> Twin? {
    var twin = Twin(optional: patch.optional ?? true, type: patch.type ?? Twin.standardType)
    if twin.isDeleted {
      twin.expectedVersion = patch.expectedVersion
      twin.actualVersion = patch.actualVersion
      return twin
    }
    if let value = patch.expected {
      guard let version = adopt(patch.expectedVersion, over: nil), (try? TwinRules.check(value, type: twin.type)) != nil else { return nil }
      twin.expected = Twin.Value(text: value, timestamp: now)
      twin.expectedVersion = version
    }
    if let value = patch.actual {
      guard let version = adopt(patch.actualVersion, over: nil), (try? TwinRules.check(value, type: twin.type)) != nil else { return nil }
      twin.actual = Twin.Value(text: value, timestamp: now)
      twin.actualVersion = version
    }
    return twin
  }

  /// A deletion may come without versions.
  private static func deletedByCloud(_ name: String, _ twin: Twin, _ patch: TwinPatch, _ change: inout TwinChange) -> Twin {
    guard !twin.isDeleted, twin.expectedVersion != nil || twin.actualVersion != nil else { return twin }
    var deleted = twin
    if let own = twin.expectedVersion, let asked = patch.expectedVersion {
      guard let version = adopt(asked, over: own) else { return refused(name, twin, [.expected, .actual, .definition], &change) }
      deleted.expectedVersion = version
    }
    if let own = twin.actualVersion, let asked = patch.actualVersion {
      guard let version = adopt(asked, over: own) else { return refused(name, twin, [.expected, .actual, .definition], &change) }
      deleted.actualVersion = version
    }
    deleted.expected = nil
    deleted.actual = nil
    deleted.type = Twin.deletedType
    change.note(name, last: twin, current: nil)
    return deleted
  }

  private static func changedByCloud(_ name: String, _ twin: Twin, _ patch: TwinPatch, _ now: Int64, _ change: inout TwinChange) -> Twin {
    var new = twin
    let type = twin.isDeleted ? patch.type ?? Twin.standardType : twin.type
    var isChanged = false
    if let value = patch.expected, twin.expected == nil || (try? TwinRules.check(value, type: type)) != nil {
      guard let version = adopt(patch.expectedVersion, over: twin.expectedVersion) else { return refused(name, twin, .expected, &change) }
      new.expected = Twin.Value(text: value, timestamp: now)
      new.expectedVersion = version
      isChanged = true
    }
    if let value = patch.actual, (try? TwinRules.check(value, type: type)) != nil {
      if let version = adopt(patch.actualVersion, over: twin.actualVersion) {
        new.actual = Twin.Value(text: value, timestamp: now)
        new.actualVersion = version
        isChanged = true
      } else {
        change.owed[name, default: []].insert(.actual)
      }
    }
    if twin.optional, patch.optional == false {
      new.optional = false
      isChanged = true
    }
    if twin.isDeleted {
      new.type = type
      isChanged = true
    }
    if isChanged { change.note(name, last: twin, current: new) }
    return new
  }

  private static func refused(_ name: String, _ twin: Twin, _ parts: Debt.Parts, _ change: inout TwinChange) -> Twin {
    change.owed[name, default: []].formUnion(parts)
    return twin
  }
}
