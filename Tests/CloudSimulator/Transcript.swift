import Core
import Synchronization

/// A message that went over the wire.
public struct TranscriptEntry: Sendable {
  public enum Direction: Sendable, Hashable { case toNode, toCloud }

  public var time: ContinuousClock.Instant
  public var direction: Direction
  public var node: String
  /// The text as it was on the wire; what could not be read as a message has only this.
  public var text: [UInt8]
  public var message: Message?
}

/// What went over the wire, the newest entries.
final class Transcript: Sendable {
  private struct State {
    var entries: [TranscriptEntry] = []
    var readers: [Int: AsyncStream<TranscriptEntry>.Continuation] = [:]
    var nextReader = 0
  }

  private let state = Mutex(State())
  private let limit: Int

  init(limit: Int) { self.limit = max(1, limit) }

  var entries: [TranscriptEntry] { state.withLock { $0.entries } }

  func clear() { state.withLock { $0.entries = [] } }

  func add(_ direction: TranscriptEntry.Direction, node: String, text: [UInt8], message: Message?) {
    let entry = TranscriptEntry(time: .now, direction: direction, node: node, text: text, message: message)
    state.withLock { state in
      // Trimmed in large steps: moving the whole array for each message would be slow.
      if state.entries.count >= limit + limit / 4 { state.entries.removeFirst(state.entries.count - limit) }
      state.entries.append(entry)
      for reader in state.readers.values { reader.yield(entry) }
    }
  }

  /// All entries that are there and those to come.
  func stream() -> AsyncStream<TranscriptEntry> {
    let (stream, continuation) = AsyncStream.makeStream(of: TranscriptEntry.self)
    let id = state.withLock { state in
      for entry in state.entries { continuation.yield(entry) }
      state.nextReader += 1
      state.readers[state.nextReader] = continuation
      return state.nextReader
    }
    continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.readers[id] = nil } }
    return stream
  }

  func end() {
    let readers = state.withLock { state in
      defer { state.readers = [:] }
      return state.readers
    }
    for reader in readers.values { reader.finish() }
  }
}
