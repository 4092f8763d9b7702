import Synchronization

/// Why a request's body isn't taken.
public enum BodyRefusal: Sendable, Hashable {
  case tooLarge(limit: Int)
  /// Too much is under way.
  case noRoom

  /// In plain words: status 413 or 503.
  public func answer(to request: ServerRequest) -> ServerResponse {
    switch self {
    case .tooLarge(let limit): .text("the request's body is larger than \(limit) bytes\n", status: 413)
    case .noRoom: .text("too many bytes of requests wait for an answer\n", status: 503)
    }
  }
}

/// The bodies of requests that have no answer yet, and how many bytes they may have.
final class BodyRoom: Sendable {
  /// What one request has of it.
  struct Place {
    private let room: BodyRoom
    private var taken = 0
    private(set) var refusal: BodyRefusal?

    init(_ room: BodyRoom) { self.room = room }

    /// False if the request's body isn't to be kept; it gives back what it has, and never gets any more.
    mutating func take(_ count: Int) -> Bool {
      guard refusal == nil else { return false }
      if taken + count > room.limit {
        refusal = .tooLarge(limit: room.limit)
      } else if !room.take(count) {
        refusal = .noRoom
      } else {
        taken += count
      }
      if refusal != nil { leave() }
      return refusal == nil
    }

    mutating func leave() {
      room.free.add(taken, ordering: .relaxed)
      taken = 0
    }
  }

  private let limit: Int
  private let free: Atomic<Int>

  init(_ limits: HTTPServer.Limits) {
    limit = limits.body
    free = Atomic(limits.bodies)
  }

  func place() -> Place { Place(self) }

  private func take(_ count: Int) -> Bool {
    if free.subtract(count, ordering: .relaxed).newValue >= 0 { return true }
    free.add(count, ordering: .relaxed)
    return false
  }
}
