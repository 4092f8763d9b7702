import Synchronization

/// Bounds how many pods the engine makes at the same time. It shares the processors with everything else on the node: with more at a time
/// each takes longer, and all together are no sooner done.
///
/// A call that takes unusually long gives its turn away, so that an engine that hangs over one pod holds up no other.
final class EngineTurns: Sendable {
  enum Urgency: Int, Sendable, CaseIterable {
    /// Of a pod that is under way.
    case next
    /// Of one that isn't begun yet.
    case first
  }

  private struct Waiter {
    var number: Int
    var turn: CheckedContinuation<Bool, Never>
  }

  private struct State {
    var free: Int
    var serial = 0
    /// By urgency.
    var waiters: [[Waiter]] = Urgency.allCases.map { _ in [] }
  }

  private let patience: Duration
  private let state: Mutex<State>

  /// - Parameters:
  ///   - parallel: calls at a time.
  ///   - patience: how long a call keeps its turn at most.
  init(parallel: Int, patience: Duration = .seconds(5)) {
    self.patience = patience
    state = Mutex(State(free: max(1, parallel)))
  }

  /// Makes the call when it is its turn.
  /// - Throws: what `call` throws, or `CancellationError`.
  func take<T: Sendable>(_ urgency: Urgency, _ call: () async throws -> T) async throws -> T {
    guard await wait(urgency) else { throw CancellationError() }
    let turn = Turn(of: self)
    let limit = Task {
      try await Task.sleep(for: patience)
      turn.end()
    }
    defer {
      limit.cancel()
      turn.end()
    }
    return try await call()
  }

  /// Ends once, however often it is told to.
  private final class Turn: Sendable {
    private let turns: Mutex<EngineTurns?>

    init(of turns: EngineTurns) { self.turns = Mutex(turns) }

    func end() { turns.withLock { $0.take() }?.pass() }
  }

  private func wait(_ urgency: Urgency) async -> Bool {
    let number = state.withLock { state in
      state.serial += 1
      return state.serial
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { turn in
        let answer: Bool? = state.withLock { state in
          if Task.isCancelled { return false }
          if state.free > 0 {
            state.free -= 1
            return true
          }
          state.waiters[urgency.rawValue].append(Waiter(number: number, turn: turn))
          return nil
        }
        if let answer { turn.resume(returning: answer) }
      }
    } onCancel: {
      let waiter = state.withLock { state -> Waiter? in
        guard let index = state.waiters[urgency.rawValue].firstIndex(where: { $0.number == number }) else { return nil }
        return state.waiters[urgency.rawValue].remove(at: index)
      }
      waiter?.turn.resume(returning: false)
    }
  }

  /// Gives a turn to who waits, or back.
  private func pass() {
    let waiter = state.withLock { state -> Waiter? in
      for urgency in state.waiters.indices where !state.waiters[urgency].isEmpty { return state.waiters[urgency].removeFirst() }
      state.free += 1
      return nil
    }
    waiter?.turn.resume(returning: true)
  }
}
