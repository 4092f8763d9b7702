import MQTT
import Synchronization

/// Remembers what the agent published for the cloud to hear, if anybody else had: the broker sends it back, and it is no news.
final class EchoMemory: Sendable {
  private static let tidyCount = 256

  private struct Entry {
    var count: Int
    var until: ContinuousClock.Instant
  }

  private struct State {
    var filters: [TopicFilter] = []
    var entries: [Int: Entry] = [:]
    var tidyAt = tidyCount
  }

  private let lifetime: Duration
  private let state = Mutex(State())

  init(lifetime: Duration = .seconds(60)) { self.lifetime = lifetime }

  func set(filters: [TopicFilter]) { state.withLock { $0.filters = filters } }

  /// Whether a message of that topic is one that the agent wants.
  func wants(_ topic: String) -> Bool { state.withLock { $0.filters.contains { $0.matches(topic) } } }

  /// To be told before the broker gets it.
  func note(_ publication: MQTTPublication) {
    let now = ContinuousClock.now
    if Topics.isForTwins(publication.topic) { return }
    state.withLock { state in
      guard state.filters.contains(where: { $0.matches(publication.topic) }) else { return }
      if state.entries.count >= state.tidyAt {
        state.entries = state.entries.filter { $0.value.until > now }
        state.tidyAt = max(Self.tidyCount, state.entries.count * 2)
      }
      let key = Self.key(publication.topic, publication.payload)
      state.entries[key, default: Entry(count: 0, until: now)].count += 1
      state.entries[key]?.until = now + lifetime
    }
  }

  /// Whether a message is one of the agent's own; each counts once.
  func swallows(_ message: MQTTMessage) -> Bool {
    if message.isRetained { return false }
    return state.withLock { state in
      if state.entries.isEmpty { return false }
      let key = Self.key(message.topic, message.payload)
      guard var entry = state.entries[key] else { return false }
      entry.count -= 1
      state.entries[key] = entry.count > 0 ? entry : nil
      return entry.until > .now
    }
  }

  /// The broker has forgotten the session: what it had for us doesn't come any more.
  func clear() { state.withLock { $0.entries = [:] } }

  private static func key(_ topic: String, _ payload: [UInt8]) -> Int {
    var hasher = Hasher()
    hasher.combine(topic)
    hasher.combine(payload)
    return hasher.finalize()
  }
}
