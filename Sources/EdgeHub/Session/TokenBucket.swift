/// Limits how often something happens: `rate` times a second, and up to `burst` times at once after a quiet while.
struct TokenBucket<Instant: InstantProtocol> where Instant.Duration == Duration {
  private let rate: Double
  private let burst: Double
  private var tokens: Double
  private var last: Instant

  /// - Parameter rate: 0: no limit.
  init(rate: Int, burst: Int, now: Instant) {
    self.rate = Double(rate)
    self.burst = Double(max(burst, 1))
    tokens = self.burst
    last = now
  }

  /// Takes a token, if need be one that is yet to come.
  ///
  /// - Returns: how long to wait before the token is there.
  mutating func take(at now: Instant) -> Duration {
    guard rate > 0 else { return .zero }
    fill(at: now)
    tokens -= 1
    return tokens >= 0 ? .zero : .seconds(-tokens / rate)
  }

  /// Takes a token if one is there.
  mutating func takeIfReady(at now: Instant) -> Bool {
    guard rate > 0 else { return true }
    fill(at: now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  private mutating func fill(at now: Instant) {
    guard last < now else { return }
    tokens = min(burst, tokens + (last.duration(to: now) / .seconds(1)) * rate)
    last = now
  }
}
