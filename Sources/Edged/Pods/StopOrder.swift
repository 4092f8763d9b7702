import KubernetesAPI
import Synchronization

/// In which order the containers of a pod stop: all at once, but each sidecar only when the regular containers and the sidecars
/// declared after it have ended.
final class StopOrder: Sendable {
  private struct State {
    var running: Set<String>?
    var waiters: [(after: Set<String>, resume: AsyncStream<Void>.Continuation)] = []
  }

  /// By sidecar, the names it waits for.
  private let predecessors: [String: Set<String>]
  private let state = Mutex(State())

  init(_ pod: Pod) {
    var later = Set(pod.spec.containers.map(\.name))
    var predecessors: [String: Set<String>] = [:]
    for sidecar in pod.initContainers.reversed() where sidecar.isSidecar {
      predecessors[sidecar.name] = later
      later.insert(sidecar.name)
    }
    self.predecessors = predecessors
  }

  /// Which containers run; the turns begin.
  func begin(running: [String]) {
    state.withLock { $0.running = Set(running) }
    resumeReady()
  }

  /// Waits until it's the container's turn, at most `limit` seconds. Returns the whole seconds waited.
  func waitForTurn(of name: String, atMost limit: Int64) async -> Int64 {
    guard let after = predecessors[name], !after.isEmpty else { return 0 }
    let begin = ContinuousClock.now
    let (turn, resume) = AsyncStream<Void>.makeStream()
    state.withLock { $0.waiters.append((after, resume)) }
    resumeReady()
    let timer = Task {
      try await Task.sleep(for: .seconds(limit))
      resume.finish()
    }
    defer { timer.cancel() }
    for await _ in turn { break }
    return (ContinuousClock.now - begin).components.seconds
  }

  /// A container has ended.
  func ended(_ name: String) {
    state.withLock { _ = $0.running?.remove(name) }
    resumeReady()
  }

  private func resumeReady() {
    let ready = state.withLock { state -> [AsyncStream<Void>.Continuation] in
      guard let running = state.running else { return [] }
      let ready = state.waiters.filter { $0.after.isDisjoint(with: running) }
      state.waiters.removeAll { $0.after.isDisjoint(with: running) }
      return ready.map(\.resume)
    }
    for resume in ready { resume.finish() }
  }
}
