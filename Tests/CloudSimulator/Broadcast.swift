import Synchronization

/// Tells many readers what happens from now on.
final class Broadcast<Element: Sendable>: Sendable {
  private struct State {
    var readers: [Int: AsyncStream<Element>.Continuation] = [:]
    var nextReader = 0
  }

  private let state = Mutex(State())

  func send(_ element: Element) {
    let readers = state.withLock { Array($0.readers.values) }
    for reader in readers { reader.yield(element) }
  }

  func stream(_ policy: AsyncStream<Element>.Continuation.BufferingPolicy = .unbounded) -> AsyncStream<Element> {
    let (stream, continuation) = AsyncStream.makeStream(of: Element.self, bufferingPolicy: policy)
    let id = state.withLock { state in
      state.nextReader += 1
      state.readers[state.nextReader] = continuation
      return state.nextReader
    }
    continuation.onTermination = { [weak self] _ in self?.state.withLock { _ = $0.readers.removeValue(forKey: id) } }
    return stream
  }

  func end() {
    let readers = state.withLock { state in
      defer { state.readers = [:] }
      return state.readers.values
    }
    for reader in readers { reader.finish() }
  }
}
