/// Growing delays between tries: each `factor` times the one before up to a maximum, spread by a random part so that many who fail
/// together don't come back together.
public struct Backoff: Sendable, Hashable {
  public var initial: Duration
  public var maximum: Duration
  public var factor: Double
  /// The part of a delay that is random, 0…1: with 0.2 a delay of 10 s becomes one from 8 s to 12 s. The maximum is kept.
  public var jitter: Double
  /// Delays given since the last reset.
  public private(set) var attempts = 0

  public init(initial: Duration, maximum: Duration, factor: Double = 2, jitter: Double = 0.2) {
    self.initial = initial
    self.maximum = maximum
    self.factor = factor
    self.jitter = jitter
  }

  /// The next delay.
  public mutating func next() -> Duration {
    var generator = SystemRandomNumberGenerator()
    return next(using: &generator)
  }

  /// The next delay, with randomness from `generator`.
  public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    var delay = min(initial, maximum)
    for _ in 0..<attempts where delay < maximum { delay = min(delay * factor, maximum) }
    attempts += 1
    guard jitter > 0 else { return delay }
    return min(delay * Double.random(in: 1 - jitter...1 + jitter, using: &generator), maximum)
  }

  /// The next delay is the initial one again.
  public mutating func reset() { attempts = 0 }
}
