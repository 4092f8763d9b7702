/// An operation took longer than it may.
struct TimeLimitExceeded: Error, Sendable, CustomStringConvertible {
  var limit: Duration
  var description: String { "no answer within \(limit.formattedSeconds)" }
}

/// Runs an operation, and cancels it when it takes longer than `limit`.
/// - Throws: `TimeLimitExceeded`, or what the operation throws.
func withTimeLimit<Value: Sendable>(
  _ limit: Duration, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value?.self) { group in
    group.addTask { try await operation() }
    group.addTask {
      try await Task.sleep(for: limit)
      return nil
    }
    defer { group.cancelAll() }
    guard let first = try await group.next(), let value = first else { throw TimeLimitExceeded(limit: limit) }
    return value
  }
}

extension Duration {
  /// `1 s`, `0.25 s`: milliseconds are the finest part.
  var formattedSeconds: String {
    let milliseconds = wholeMilliseconds
    guard milliseconds % 1000 != 0 else { return "\(milliseconds / 1000) s" }
    var fraction = String(1000 + milliseconds % 1000).dropFirst()
    while fraction.last == "0" { fraction.removeLast() }
    return "\(milliseconds / 1000).\(fraction) s"
  }

  private var wholeMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
