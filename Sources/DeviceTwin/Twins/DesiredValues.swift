/// What a Device object of the cloud says about the properties.
struct DeviceWishes: Sendable, Hashable {
  struct Property: Sendable, Hashable {
    /// Nil if nothing is wished.
    var desired: String?
    /// Of the DeviceModel; nil if it doesn't say.
    var type: String?
  }

  var properties: [String: Property]
}

extension Device {
  /// Makes what the cloud's Device object wishes the expected values.
  ///
  /// A wish counts when it is another one than the object had before: it then takes the place of whatever was expected at the edge
  /// meanwhile. A wish that stayed the same leaves a newer one of the edge alone. Actual values are the edge's alone.
  /// - Parameter version: the object's resource version.
  mutating func adopt(_ wishes: DeviceWishes, version: Int64, now: Int64) -> TwinChange {
    var change = TwinChange()
    modelTypes = wishes.properties.compactMapValues(\.type)
    for (name, wish) in wishes.properties.sorted(by: { $0.key < $1.key }) {
      let twin = twins[name]
      if let twin, twin.isTypeAssumed, twin.isUntouchedByEdge, let type = wish.type, type != twin.type {
        // The model came later than the wish, or has changed.
        twins[name]?.type = type
        change.changed.insert(name)
      }
      guard wish.desired != twin?.desired else { continue }
      var new = twins[name] ?? Twin(type: Twin.deletedType)
      new.desired = wish.desired
      if let text = wish.desired {
        if new.isDeleted {
          new.type = wish.type ?? Twin.standardType
          new.isTypeAssumed = true
        }
        new.expected = Twin.Value(text: text, timestamp: now)
        let cloud = max(version, (new.expectedVersion?.cloud ?? 0) &+ 1)
        new.expectedVersion = Twin.Version(cloud: cloud, edge: new.expectedVersion?.edge ?? 0)
        change.note(name, last: twin, current: new)
      } else {
        // The wish was taken back; what is expected stays until somebody says otherwise.
        change.changed.insert(name)
      }
      twins[name] = new
    }
    for (name, twin) in twins where twin.desired != nil && wishes.properties[name] == nil {
      twins[name]?.desired = nil
      change.changed.insert(name)
    }
    return change
  }

  /// `…/twin/update/delta`: what is expected, and where it differs from what is; nil if nothing differs.
  func delta(eventID: String, now: Int64) -> [UInt8]? {
    let expected = twins.filter { !$0.value.isDeleted && !($0.value.expected?.text ?? "").isEmpty }
    let differing = expected.filter { $0.value.expected?.text != $0.value.actual?.text ?? "" }
    if differing.isEmpty { return nil }
    return MessageText.base(
      eventID, now,
      [
        MessageText.Member("twin", MessageText.properties(expected.mapValues { MessageText.twin($0, withVersions: false) })),
        MessageText.Member("delta", MessageText.properties(differing.mapValues { .string($0.expected?.text ?? "") })),
      ]
    ).jsonBytes()
  }
}
