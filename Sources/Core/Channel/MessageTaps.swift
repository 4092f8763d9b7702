import Synchronization

/// A message as a tap sees it.
public struct TappedMessage: Sendable {
  /// How the message was handed over.
  public enum Kind: String, Sendable, Codable, CaseIterable { case send, request, answer }

  public var kind: Kind
  /// The receiving module; empty for an answer, which goes to whoever asked.
  public var destination: ModuleName
  public var message: Message
  /// Messages that this tap lost right before this one, since it was read too slowly.
  public var lostBefore: Int
}

/// Live views on the messages that pass. Costs one atomic load a message while there is none.
final class MessageTaps: Sendable {
  private struct Tap {
    var continuation: AsyncStream<TappedMessage>.Continuation
    var lost = 0
  }

  private struct State {
    var taps: [UInt64: Tap] = [:]
    var next: UInt64 = 0
    var losses: UInt64 = 0
  }

  private let count = Atomic(0)
  private let state = Mutex(State())

  func tap(capacity: Int) -> AsyncStream<TappedMessage> {
    let (stream, continuation) = AsyncStream.makeStream(of: TappedMessage.self, bufferingPolicy: .bufferingOldest(max(1, capacity)))
    let id = state.withLock { state in
      state.next += 1
      state.taps[state.next] = Tap(continuation: continuation)
      return state.next
    }
    count.add(1, ordering: .relaxed)
    continuation.onTermination = { [weak self] _ in
      guard let self else { return }
      let removed = self.state.withLock { $0.taps.removeValue(forKey: id) != nil }
      if removed { self.count.subtract(1, ordering: .relaxed) }
    }
    return stream
  }

  func note(_ kind: TappedMessage.Kind, _ message: Message, to destination: ModuleName) {
    guard count.load(ordering: .relaxed) > 0 else { return }
    state.withLock { state in
      for (id, tap) in state.taps {
        let tapped = TappedMessage(kind: kind, destination: destination, message: message, lostBefore: tap.lost)
        switch tap.continuation.yield(tapped) {
        case .enqueued: if tap.lost > 0 { state.taps[id]?.lost = 0 }
        case .dropped:
          state.taps[id]?.lost += 1
          state.losses += 1
        case .terminated: break
        @unknown default: break
        }
      }
    }
  }

  var losses: UInt64 { state.withLock { $0.losses } }
}
