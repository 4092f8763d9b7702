/// How long failed pulls must wait before the next try, per pod and image.
///
/// The clock is one that nobody sets: a node that learns the right time late neither waits for years nor forgets to wait.
struct PullBackOff {
  struct Key: Hashable {
    var podUID: String
    var image: String
  }

  struct Wait {
    let until: ContinuousClock.Instant
    /// What the last pull failed with.
    let error: String
  }

  private struct Entry {
    var delay: Duration
    var failedAt: ContinuousClock.Instant
    var error: String
  }

  let initial: Duration
  let limit: Duration
  private var entries: [Key: Entry] = [:]

  init(initial: Duration, limit: Duration) {
    self.initial = initial
    self.limit = limit
  }

  /// nil if a pull is allowed now.
  func wait(_ key: Key, now: ContinuousClock.Instant) -> Wait? {
    guard let entry = entries[key], now < entry.failedAt + entry.delay else { return nil }
    return Wait(until: entry.failedAt + entry.delay, error: entry.error)
  }

  /// Notes a failure and returns when the next try is allowed.
  mutating func fail(_ key: Key, error: String, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
    entries = entries.filter { now - $0.value.failedAt <= limit * 2 }
    let delay = entries[key].map { min($0.delay * 2, limit) } ?? initial
    entries[key] = Entry(delay: delay, failedAt: now, error: error)
    return now + delay
  }

  mutating func forget(podUID: String) {
    entries = entries.filter { $0.key.podUID != podUID }
  }
}
