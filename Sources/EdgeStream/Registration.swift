import Core
import Synchronization

/// Which Node the cloud has for us. The cloud notes in it where its end of the tunnel is, but only when the tunnel is opened.
final class Registration: Sendable {
  private struct State {
    var uid: String?
    var next = 0
    var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
  }

  private let state = Mutex(State())

  /// nil before it was told.
  var uid: String? { state.withLock { $0.uid } }

  func note(uid: String) {
    let waiters = state.withLock { state in
      guard state.uid != uid else { return [AsyncStream<Void>.Continuation]() }
      state.uid = uid
      defer { state.waiters = [:] }
      return Array(state.waiters.values)
    }
    for waiter in waiters { waiter.finish() }
  }

  /// Returns when it was told, when the time is up, or when the task is cancelled.
  func wait(atMost limit: Duration) async {
    guard uid == nil else { return }
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await Task.sleep(for: limit) }
      tasks.addTask { await self.change(from: nil) }
      await tasks.next()
      tasks.cancelAll()
    }
  }

  /// Returns when it is another one than this, or when the task is cancelled.
  func change(from old: String?) async {
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    let id = state.withLock { state -> Int? in
      if state.uid != old { return nil }
      state.next += 1
      state.waiters[state.next] = continuation
      return state.next
    }
    guard let id else { return }
    for await _ in stream {}
    _ = state.withLock { $0.waiters.removeValue(forKey: id) }
  }
}
