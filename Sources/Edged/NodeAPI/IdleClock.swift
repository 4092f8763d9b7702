import Synchronization

/// Ends streams on which nothing moves.
final class IdleClock: Sendable {
  private let timeout: Duration
  private let last = Mutex(ContinuousClock.now)

  /// - Parameter timeout: zero: never.
  init(timeout: Duration) { self.timeout = timeout }

  /// Something moved.
  func touch() { last.withLock { $0 = .now } }

  /// Returns when nothing has moved for the time, or when the task is cancelled.
  func wait() async {
    while !Task.isCancelled {
      let end = last.withLock { $0 } + timeout
      if timeout > .zero, end <= .now { return }
      do {
        if timeout > .zero { try await Task.sleep(until: end, tolerance: .seconds(1)) } else { try await Task.sleep(for: .seconds(86400)) }
      } catch { return }
    }
  }
}
