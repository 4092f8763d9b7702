import Synchronization

/// Makes who sends wait for a turn, until the limit is lifted.
final class RateLimit: Sendable {
  private struct State {
    var bucket: TokenBucket<ContinuousClock.Instant>
    var isLifted = false
    var waits: [Int: Task<Void, Never>] = [:]
    var nextWait = 0
  }

  private let state: Mutex<State>

  /// - Parameter rate: of turns a second; 0: no limit.
  init(rate: Int, burst: Int) { state = Mutex(State(bucket: TokenBucket(rate: rate, burst: burst, now: .now))) }

  /// Returns when it is the caller's turn; false if the task was cancelled.
  func turn() async -> Bool {
    let wait = state.withLock { state -> (number: Int, task: Task<Void, Never>)? in
      guard !state.isLifted else { return nil }
      let delay = state.bucket.take(at: .now)
      guard delay > .zero else { return nil }
      let task = Task<Void, Never> { try? await Task.sleep(for: delay) }
      state.nextWait += 1
      state.waits[state.nextWait] = task
      return (state.nextWait, task)
    }
    if let wait {
      await withTaskCancellationHandler {
        await wait.task.value
      } onCancel: {
        wait.task.cancel()
      }
      state.withLock { $0.waits[wait.number] = nil }
    }
    return !Task.isCancelled
  }

  /// Takes a turn if none has to be waited for.
  func turnIsNow() -> Bool { state.withLock { $0.isLifted || $0.bucket.takeIfReady(at: .now) } }

  /// From now on nobody waits.
  func lift() {
    let waits = state.withLock { state in
      state.isLifted = true
      defer { state.waits = [:] }
      return state.waits.values.map { $0 }
    }
    for wait in waits { wait.cancel() }
  }
}
