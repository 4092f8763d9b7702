import KubernetesAPI

/// Limits the events of each object: a burst, then one in a while.
struct SpamFilter: Sendable {
  private struct Bucket {
    var tokens: Double
    var filled: Timestamp
  }

  static let burst = 25
  static let refillInterval: Duration = .seconds(300)
  /// Beyond this, objects that may have their whole burst again are forgotten.
  private static let bucketLimit = 256

  private var buckets: [String: Bucket] = [:]

  /// Whether an object may have one more event now.
  mutating func admits(_ uid: String, at now: Timestamp) -> Bool {
    var tokens = buckets[uid].map { Self.tokens($0, at: now) } ?? Double(Self.burst)
    let isAdmitted = tokens >= 1
    if isAdmitted { tokens -= 1 }
    buckets[uid] = Bucket(tokens: tokens, filled: now)
    if buckets.count > Self.bucketLimit { shrink(at: now) }
    return isAdmitted
  }

  private mutating func shrink(at now: Timestamp) {
    buckets = buckets.filter { Self.tokens($0.value, at: now) < Double(Self.burst) }
    guard buckets.count > Self.bucketLimit, let oldest = buckets.min(by: { $0.value.filled < $1.value.filled })?.key else { return }
    buckets[oldest] = nil
  }

  private static func tokens(_ bucket: Bucket, at now: Timestamp) -> Double {
    let elapsed = max(.zero, now - bucket.filled)
    return min(Double(burst), bucket.tokens + elapsed / refillInterval)
  }
}
