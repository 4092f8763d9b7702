import Synchronization

/// Publications that wait for the broker. Nobody waits to put one in: the oldest go when there are too many.
final class PublishQueue: Sendable {
  private struct State {
    var publications = Fifo<MQTTPublication>()
    var bytes = 0
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
    state.withLock { state in
      guard let publication = state.publications.popFirst() else { return nil }
      state.bytes -= publication.size
      return publication
    }
  }
}
