import Synchronization

/// Publications that wait for the broker. The oldest go when there are too many; who wants to can wait for room before.
final class PublishQueue: Sendable {
  private struct State {
    var publications = Fifo<MQTTPublication>()
    var bytes = 0
    /// Nothing was taken for as long as somebody waited for room.
    var isStalled = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let countLimit: Int
  private let byteLimit: Int
  private let state = Mutex(State())

  init(countLimit: Int, byteLimit: Int) {
    self.countLimit = countLimit
    self.byteLimit = byteLimit
  }

  var count: Int { state.withLock { $0.publications.count } }

  /// - Returns: how many older ones were dropped for it.
  func put(_ publication: MQTTPublication) -> Int {
    state.withLock { state in
      state.publications.append(publication)
      state.bytes += publication.size
      var dropped = 0
      while state.publications.count > countLimit || state.bytes > byteLimit && state.publications.count > 1 {
        guard let oldest = state.publications.popFirst() else { break }
        state.bytes -= oldest.size
        dropped += 1
      }
      return dropped
    }
  }

  func take() -> MQTTPublication? {
    let (publication, waiters) = state.withLock { state -> (MQTTPublication?, [CheckedContinuation<Void, Never>]) in
      guard let publication = state.publications.popFirst() else { return (nil, []) }
      state.bytes -= publication.size
      state.isStalled = false
      guard !state.waiters.isEmpty, state.publications.count <= countLimit / 2, state.bytes <= byteLimit / 2 else {
        return (publication, [])
      }
      defer { state.waiters = [] }
      return (publication, state.waiters)
    }
    for waiter in waiters { waiter.resume() }
    return publication
  }

  private func isCrowded(_ state: State) -> Bool {
    state.publications.count >= countLimit / 4 * 3 || state.bytes >= byteLimit / 4 * 3
  }

  /// Returns when there is room again, or nothing moves for the time of the patience: then nobody waits until something does.
  func waitForRoom(_ patience: Duration) async {
    guard state.withLock({ isCrowded($0) && !$0.isStalled }) else { return }
    let limit = Task {
      try await Task.sleep(for: patience)
      giveUp()
    }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let waits = state.withLock { state in
        guard isCrowded(state), !state.isStalled else { return false }
        state.waiters.append(continuation)
        return true
      }
      if !waits { continuation.resume() }
    }
    limit.cancel()
  }

  /// The broker is away: nobody waits.
  func giveUp() {
    let waiters = state.withLock { state in
      state.isStalled = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
