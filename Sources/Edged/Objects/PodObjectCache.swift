import Core
import KubernetesAPI

/// The decoded objects that pods refer to, shared by them, and which pods those are.
///
/// It holds only what it is told of each change of: while nobody watches the store, it remembers nothing.
struct PodObjectCache: Sendable {
  /// How long the word that an object doesn't exist counts. Not all that is created later is told of.
  static let absenceLifetime = Duration.seconds(10)

  private enum Value: Sendable {
    case unknown
    case found(ObjectContent)
    case absent(until: ContinuousClock.Instant)
    /// It couldn't be fetched: of no use but to know who waits for it.
    case failed
  }

  private struct Entry: Sendable {
    var pods: Set<String> = []
    var value = Value.unknown
    /// Counts what the store told, so that an answer that was under way meanwhile isn't taken for newer.
    var changes = 0
  }

  private struct PodUse: Sendable {
    var keys: Set<ObjectKey> = []
    var revision = 0
  }

  /// The state of an entry when somebody began to fetch it.
  struct Ticket: Sendable, Hashable {
    fileprivate var watches: Int
    fileprivate var changes: Int
  }

  private var entries: [ObjectKey: Entry] = [:]
  private var pods: [String: PodUse] = [:]
  private var isWatching = false
  private var watches = 0
  private var lastRevision = 0

  var count: Int { entries.count }

  // MARK: Who refers to what

  /// Notes all that a pod refers to; what no pod refers to any more is dropped.
  mutating func use(_ keys: Set<ObjectKey>, by pod: String) {
    let before = pods[pod, default: PodUse()].keys
    if before == keys, pods[pod] != nil { return }
    for key in before.subtracting(keys) { release(key, by: pod) }
    for key in keys.subtracting(before) { entries[key, default: Entry()].pods.insert(pod) }
    pods[pod, default: PodUse()].keys = keys
  }

  mutating func forget(_ pod: String) {
    guard let use = pods.removeValue(forKey: pod) else { return }
    for key in use.keys { release(key, by: pod) }
  }

  private mutating func release(_ key: ObjectKey, by pod: String) {
    entries[key]?.pods.remove(pod)
    if entries[key]?.pods.isEmpty == true { entries[key] = nil }
  }

  func isUsed(_ key: ObjectKey) -> Bool { entries[key] != nil }

  /// Another number stands for changes of what the pod refers to.
  func revision(of pod: String) -> Int { pods[pod]?.revision ?? 0 }

  // MARK: Fetching

  /// What is known of an object; nil if it has to be fetched.
  func known(_ key: ObjectKey, at time: ContinuousClock.Instant) -> Result<ObjectContent, ObjectAbsence>? {
    switch entries[key]?.value {
    case .found(let content): .success(content)
    case .absent(let until) where time < until: .failure(.notFound)
    default: nil
    }
  }

  func ticket(_ key: ObjectKey) -> Ticket { Ticket(watches: watches, changes: entries[key]?.changes ?? 0) }

  /// Takes what a fetch came to.
  /// - Returns: what counts: something newer if the store told of it meanwhile.
  mutating func settle(
    _ key: ObjectKey, _ ticket: Ticket, _ result: Result<ObjectContent, ObjectAbsence>, at time: ContinuousClock.Instant
  ) -> Result<ObjectContent, ObjectAbsence> {
    lastRevision += 1
    var result = result
    if case .success(var content) = result {
      content.revision = lastRevision
      result = .success(content)
    }
    guard isWatching, ticket.watches == watches, let entry = entries[key] else { return result }
    if entry.changes != ticket.changes { return known(key, at: time) ?? result }
    switch (result, entry.value) {
    case (.success(let content), .found(let old)) where old.holdsTheSame(as: content): return .success(old)
    case (.success(let content), _): entries[key]?.value = .found(content)
    case (.failure(.notFound), _): entries[key]?.value = .absent(until: time + Self.absenceLifetime)
    case (.failure, _): entries[key]?.value = .failed
    }
    return result
  }

  // MARK: What the store tells

  /// From now on every change is told.
  /// - Returns: the pods for which one may have been missed before.
  mutating func beginWatch() -> Set<String> {
    isWatching = true
    return startAnew()
  }

  mutating func endWatch() {
    isWatching = false
    _ = startAnew()
  }

  private mutating func startAnew() -> Set<String> {
    watches += 1
    for key in entries.keys { entries[key]?.value = .unknown }
    return bump(Set(pods.keys))
  }

  /// Takes a change.
  /// - Parameter content: the object as it is now; nil if it was removed or can't be read, and has to be fetched.
  /// - Returns: the pods that it concerns.
  mutating func change(_ key: ObjectKey, to content: ObjectContent?) -> Set<String> {
    guard var entry = entries[key] else { return [] }
    entry.changes += 1
    defer { entries[key] = entry }
    if case .found(let old) = entry.value {
      // Another object of the same name is another one; without a content there is none that could take its place.
      if old.isImmutable, content == nil || content?.uid == old.uid { return [] }
      if let content, old.holdsTheSame(as: content) {
        entry.value = .found(Self.merged(content, revision: old.revision))
        return []
      }
    }
    if let content {
      lastRevision += 1
      entry.value = .found(Self.merged(content, revision: lastRevision))
    } else if case .found = entry.value {
      entry.value = .unknown
    } else {
      return []
    }
    return bump(entry.pods)
  }

  /// The cloud is back.
  /// - Parameter others: pods that wait for something else that the cloud gives.
  /// - Returns: those, and the pods that wait for an object that couldn't be fetched or found.
  mutating func connected(_ others: Set<String>) -> Set<String> {
    var waiting = others
    for (key, entry) in entries {
      switch entry.value {
      case .unknown, .found: continue
      // What wasn't there may have been created while nobody could tell.
      case .failed, .absent:
        entries[key]?.value = .unknown
        waiting.formUnion(entry.pods)
      }
    }
    return bump(waiting)
  }

  private mutating func bump(_ uids: Set<String>) -> Set<String> {
    for uid in uids { pods[uid]?.revision += 1 }
    return uids
  }

  private static func merged(_ content: ObjectContent, revision: Int) -> ObjectContent {
    var content = content
    content.revision = revision
    return content
  }
}
