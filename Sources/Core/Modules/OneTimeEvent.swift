import Synchronization

/// Something that happens once; everybody who waits for it goes on, also who comes later.
final class OneTimeEvent: Sendable {
  private struct State {
    var happened = false
    var waiters: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var next: UInt64 = 0
  }

  private let state = Mutex(State())

  var hasHappened: Bool { state.withLock { $0.happened } }

  func happen() {
    let waiters = state.withLock { state in
      state.happened = true
      defer { state.waiters = [:] }
      return state.waiters.values.map { $0 }
    }
    for waiter in waiters { waiter.resume() }
  }

  /// - Throws: `CancellationError`.
  func wait() async throws {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let result: Result<Void, any Error>? = state.withLock { state in
          if state.happened { return .success(()) }
          if Task.isCancelled { return .failure(CancellationError()) }
          state.waiters[id] = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
    }
  }

  /// Waits at most `limit`; returns early, too, when the task is cancelled.
  func wait(atMost limit: Duration) async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await Task.sleep(for: limit) }
      tasks.addTask { try? await self.wait() }
      await tasks.next()
      tasks.cancelAll()
    }
  }
}
