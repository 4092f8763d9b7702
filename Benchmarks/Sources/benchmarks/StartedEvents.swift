import Runtime
import Synchronization

/// When the engine told that containers started.
final class StartedEvents: Sendable {
  private struct State {
    var times: [String: ContinuousClock.Instant] = [:]
    var failure: (any Error)?
    var waiters: [(count: Int, continuation: CheckedContinuation<Void, any Error>)] = []
    var isConnected = false
  }

  private let state = Mutex(State())

  /// Subscribes, and calls `body` when the subscription stands.
  static func with<Value: Sendable>(
    _ runtime: any ContainerRuntime, _ body: (StartedEvents) async throws -> Value
  ) async throws -> Value {
    let events = StartedEvents()
    let reader = Task {
      do {
        for try await event in runtime.events() { events.note(event, at: .now) }
        events.fail(Failure("the engine's events ended"))
      } catch {
        events.fail(error)
      }
    }
    defer { reader.cancel() }
    _ = try await eventually("subscribed to the engine's events") { events.state.withLock { $0.isConnected } ? true : nil }
    return try await body(events)
  }

  private func note(_ event: RuntimeEvent, at time: ContinuousClock.Instant) {
    let ready = state.withLock { state in
      if event == .connected { state.isConnected = true }
      guard case .started(let id) = event else { return [CheckedContinuation<Void, any Error>]() }
      state.times[id] = time
      let ready = state.waiters.filter { $0.count <= state.times.count }
      state.waiters.removeAll { $0.count <= state.times.count }
      return ready.map(\.continuation)
    }
    for continuation in ready { continuation.resume() }
  }

  private func fail(_ error: any Error) {
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      state.failure = error
      return state.waiters
    }
    for waiter in waiters { waiter.continuation.resume(throwing: error) }
  }

  /// Forgets what has started so far.
  func reset() { state.withLock { $0.times = [:] } }

  /// Waits until so many have started since the last reset; sandboxes count as well.
  func wait(for count: Int, within limit: Duration = .seconds(120)) async throws {
    let guardian = Task {
      try await Task.sleep(for: limit)
      self.fail(Failure("\(self.state.withLock { $0.times.count }) of \(count) sandboxes and containers started within \(limit)"))
    }
    defer { guardian.cancel() }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let outcome: Result<Void, any Error>? = state.withLock { state in
          if let failure = state.failure { return .failure(failure) }
          if Task.isCancelled { return .failure(CancellationError()) }
          if state.times.count >= count { return .success(()) }
          state.waiters.append((count, continuation))
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      fail(CancellationError())
    }
  }

  var times: [String: ContinuousClock.Instant] { state.withLock { $0.times } }
}
