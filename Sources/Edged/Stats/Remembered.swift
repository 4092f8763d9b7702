/// A value that is looked up when somebody asks, at most once at a time, and told again while it is young enough.
actor Remembered<Value: Sendable> {
  private var last: (value: Value, at: ContinuousClock.Instant)?
  private var lookup: Task<Value, any Error>?

  /// - Parameter look: finds the value.
  /// - Throws: what `look` throws, if it is waited for.
  func value(_ age: RememberedAge, look: @escaping @Sendable () async throws -> Value) async throws -> Value {
    guard let last, last.at + age.stale > .now else { return try await next(look).value }
    if last.at + age.fresh <= .now { next(look) }
    return last.value
  }

  @discardableResult
  private func next(_ look: @escaping @Sendable () async throws -> Value) -> Task<Value, any Error> {
    if let lookup { return lookup }
    let task = Task {
      defer { lookup = nil }
      let value = try await look()
      last = (value, .now)
      return value
    }
    lookup = task
    return task
  }
}

/// How old a remembered value may be.
struct RememberedAge: Sendable {
  /// Younger, it is not looked up again.
  var fresh: Duration
  /// Older, it is not told; in between it is, and looked up again behind the answer.
  var stale: Duration

  static let now = RememberedAge(fresh: .zero, stale: .zero)
}
