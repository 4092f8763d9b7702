import Synchronization

/// Lets a limited number of pulls run at once; the others wait in their order of arrival.
final class PullQueue: Sendable {
  private struct Waiter {
    let id: Int
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var running = 0
    var nextID = 0
    var waiters: [Waiter] = []
  }

  private let limit: Int?
  private let state = Mutex(State())

  /// - Parameter limit: nil for any number.
  init(limit: Int?) { self.limit = limit.map { max($0, 1) } }

  /// How many wait for their turn.
  var waiting: Int { state.withLock { $0.waiters.count } }

  /// Waits for a place, which `leave` gives back. Returns whether there was a wait; throws if the task is cancelled meanwhile.
  func enter() async throws -> Bool {
    let isFree = state.withLock { state in
      if let limit, state.running >= limit { return false }
      state.running += 1
      return true
    }
    if isFree { return false }
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let answer: Result<Void, any Error>? = state.withLock { state in
          // Asked under the lock: the handler below either finds the waiter or has left its mark before.
          if Task.isCancelled { return .failure(CancellationError()) }
          if let limit, state.running >= limit {
            state.waiters.append(Waiter(id: id, continuation: continuation))
            return nil
          }
          state.running += 1
          return .success(())
        }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
      }
      waiter?.continuation.resume(throwing: CancellationError())
    }
    return true
  }

  func leave() {
    let next = state.withLock { state -> Waiter? in
      guard !state.waiters.isEmpty else {
        state.running -= 1
        return nil
      }
      return state.waiters.removeFirst()
    }
    next?.continuation.resume()
  }
}
