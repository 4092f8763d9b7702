import Core
import Synchronization

/// Requests that went to the cloud over one connection and have no answer yet.
final class OpenRequests: Sendable {
  /// Whoever asked has given up long before.
  private static let lifetime: Duration = .seconds(600)
  private static let tidyCount = 512

  private struct State {
    var requests: [String: (head: Message, since: ContinuousClock.Instant)] = [:]
    var isClosed = false
  }

  private let state = Mutex(State())

  /// Remembers a request; false if the connection has ended.
  func add(_ request: Message) -> Bool {
    // The content may be big, and an answer needs only the rest.
    let head = Message(header: request.header, route: request.route)
    let now = ContinuousClock.now
    return state.withLock { state in
      guard !state.isClosed else { return false }
      if state.requests.count >= Self.tidyCount { state.requests = state.requests.filter { now - $0.value.since < Self.lifetime } }
      state.requests[head.id] = (head, now)
      return true
    }
  }

  /// Whether that request was open; it is no more.
  func remove(_ id: String) -> Bool { state.withLock { $0.requests.removeValue(forKey: id) != nil } }

  /// Ends it.
  ///
  /// - Returns: what has no answer.
  func close() -> [Message] {
    state.withLock { state in
      state.isClosed = true
      defer { state.requests = [:] }
      return state.requests.values.map(\.head)
    }
  }
}
