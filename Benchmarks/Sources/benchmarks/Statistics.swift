import Foundation

extension Array where Element: Comparable {
  /// The value below which that share of all values lies; nil if there are none.
  func percentile(_ share: Double) -> Element? {
    guard !isEmpty else { return nil }
    return sorted()[Swift.min(count - 1, Int(share * Double(count)))]
  }

  var median: Element? { percentile(0.5) }
}

extension Duration {
  var milliseconds: Double { self / .milliseconds(1) }
}

extension Double {
  func text(_ digits: Int) -> String { String(format: "%.\(digits)f", self) }

  /// Thousands apart from each other: `1 234 567`.
  var grouped: String {
    var text = ""
    for (index, digit) in String(Int(self)).reversed().enumerated() {
      if index > 0, index % 3 == 0 { text.append(" ") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}

/// Nanoseconds since 1970, the clock of the engines' timestamps.
func wallClock() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Asks until there is an answer. For what no event tells.
func eventually<Value>(_ what: String, within limit: Duration = .seconds(120), _ ask: () async throws -> Value?) async throws -> Value {
  let end = ContinuousClock.now + limit
  while ContinuousClock.now < end {
    if let value = try await ask() { return value }
    try await Task.sleep(for: .milliseconds(20))
  }
  throw Failure("after \(limit) still not: \(what)")
}
