/// What is known of an image on the node, over time.
struct ImageRecord: Sendable, Hashable {
  var id: String
  /// Bytes.
  var size: UInt64
  var isPinned: Bool
  /// nil: it was there before the agent.
  var firstSeen: ContinuousClock.Instant?
  /// When a container was last seen to have it; nil if never.
  var lastUsed: ContinuousClock.Instant?
}

/// Chooses the images that are removed; it looks at nothing but its arguments.
struct ImageSelection: Sendable {
  var minimumAge: Duration
  /// Zero switches removal by age off.
  var maximumAge: Duration
  /// The agent's start: what happened before it isn't known.
  var startedAt: ContinuousClock.Instant

  /// Images that nobody used for longer than the maximum age, least recently used first.
  func tooOld(_ records: [ImageRecord], inUse: Set<String>, now: ContinuousClock.Instant) -> [ImageRecord] {
    guard maximumAge > .zero, now - startedAt > maximumAge else { return [] }
    return candidates(records, inUse: inUse).filter { record in
      now - max(record.lastUsed ?? startedAt, record.firstSeen ?? startedAt) > maximumAge
    }
  }

  /// As many images as are needed to free that many bytes, least recently used first; all that may go if they don't suffice.
  func toFree(_ bytes: UInt64, _ records: [ImageRecord], inUse: Set<String>, now: ContinuousClock.Instant) -> [ImageRecord] {
    var selected: [ImageRecord] = []
    var freed: UInt64 = 0
    for record in candidates(records, inUse: inUse) where freed < bytes {
      if let firstSeen = record.firstSeen, now - firstSeen < minimumAge { continue }
      selected.append(record)
      freed += record.size
    }
    return selected
  }

  private func candidates(_ records: [ImageRecord], inUse: Set<String>) -> [ImageRecord] {
    records.filter { !$0.isPinned && !inUse.contains($0.id) }.sorted { a, b in
      if a.lastUsed != b.lastUsed { return Self.isEarlier(a.lastUsed, b.lastUsed) }
      if a.firstSeen != b.firstSeen { return Self.isEarlier(a.firstSeen, b.firstSeen) }
      return a.id < b.id
    }
  }

  private static func isEarlier(_ a: ContinuousClock.Instant?, _ b: ContinuousClock.Instant?) -> Bool {
    guard let b else { return false }
    return a.map { $0 < b } ?? true
  }
}
