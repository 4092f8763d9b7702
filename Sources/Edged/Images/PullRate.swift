/// Allows `perSecond` pulls a second on average and `burst` at once.
struct PullRate {
  private let perSecond: Double
  private let burst: Double
  private var tokens: Double
  private var filledAt: ContinuousClock.Instant?

  /// - Parameter perSecond: 0 allows any number.
  init(perSecond: Double, burst: Int) {
    self.perSecond = perSecond
    self.burst = Double(burst)
    tokens = Double(burst)
  }

  mutating func take(now: ContinuousClock.Instant) -> Bool {
    guard perSecond > 0 else { return true }
    if let filledAt { tokens = min(burst, tokens + (now - filledAt) / .seconds(1) * perSecond) }
    filledAt = now
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }
}
