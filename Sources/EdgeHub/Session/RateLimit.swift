import Synchronization

/// Makes who sends wait for a turn, until the limit is lifted.
final class RateLimit: Sendable {
  private struct State {
    var bucket: TokenBucket<ContinuousClock.Instant>
    var isLifted = false
    var wait: Task<Void, Never>?
  }

  private let state: Mutex<State>

  /// - Parameter rate: of turns a second; 0: no limit.
  init(rate: Int, burst: Int) { state = Mutex(State(bucket: TokenBucket(rate: rate, burst: burst, now: .now))) }

  /// Returns when it is the caller's turn; false if the task was cancelled. For one caller at a time.
  func turn() async -> Bool {
    let wait = state.withLock { state -> Task<Void, Never>? in
      guard !state.isLifted else { return nil }
      let delay = state.bucket.take(at: .now)
      guard delay > .zero else { return nil }
      let wait = Task<Void, Never> { try? await Task.sleep(for: delay) }
      state.wait = wait
      return wait
    }
    if let wait {
      await withTaskCancellationHandler {
        await wait.value
      } onCancel: {
        wait.cancel()
      }
    }
    return !Task.isCancelled
  }

  /// From now on nobody waits.
  func lift() {
    state.withLock { state in
      state.isLifted = true
      return state.wait.take()
    }?.cancel()
  }
}
