import Core
import Logging
import Synchronization

/// The URLs that applications may ask the cloud for: here at once, and in the file as soon as it can be written.
final class TargetURLs: Sendable {
  private static let complaint = "what rules allow can't be read or written"

  private struct State {
    var set = TargetSet()
    /// What the file holds, as far as is known.
    var stored = TargetSet()
    /// What the file lacks, by a growing number; a URL is in it once.
    var changes: [(number: Int, change: TargetChange)] = []
    var nextNumber = 0
  }

  /// Whether there are any, each time that may have changed; for one reader.
  let need: AsyncStream<Bool>

  private let limit: Int
  private let status: ServiceBusStatus
  private let logger: Logger
  private let state = Mutex(State())
  private let tellNeed: AsyncStream<Bool>.Continuation
  private let work: AsyncStream<Void>
  private let tellWork: AsyncStream<Void>.Continuation

  init(limit: Int, status: ServiceBusStatus, logger: Logger) {
    self.limit = limit
    self.status = status
    self.logger = logger
    (need, tellNeed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    (work, tellWork) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Compared byte by byte.
  func contains(_ url: String) -> Bool { state.withLock { $0.set.urls.contains(url) } }

  /// Sorted.
  var urls: [String] { state.withLock { $0.set.urls }.sorted() }

  /// Takes note of what the cloud says.
  func note(_ change: TargetChange) {
    let isTaken = state.withLock { state in
      state.changes.removeAll { $0.change.url == change.url }
      if case .allow(let url) = change, state.set.urls.count >= limit, !state.set.urls.contains(url) || url.isEmpty { return false }
      guard state.changes.count < 4 * limit else { return false }
      state.nextNumber += 1
      state.changes.append((state.nextNumber, change))
      state.set.apply(change)
      return true
    }
    if isTaken {
      logger.info("\(change.isAllowed ? "a rule began" : "a rule ended")", metadata: ["url": "\(change.url)"])
      tell()
      tellWork.yield()
    } else {
      logger.warning("a rule of the cloud is left out: there are \(limit) already", metadata: ["url": "\(change.url)"])
    }
  }

  private func tell() {
    let count = state.withLock { $0.set.urls.count }
    status.note(targets: count)
    tellNeed.yield(count > 0)
  }

  /// Reads what the file holds and writes down what changes, until the task is cancelled.
  func run(_ store: TargetStore, retry: Backoff) async {
    var backoff = retry
    // Reads, to begin with.
    tellWork.yield()
    for await _ in work {
      while !Task.isCancelled {
        if await synchronise(store) {
          backoff.reset()
          break
        }
        try? await Task.sleep(for: backoff.next())
      }
    }
    if state.withLock({ !$0.changes.isEmpty }) { _ = await synchronise(store) }
    await store.close()
  }

  /// - Returns: whether the file holds all that was known when this began.
  private func synchronise(_ store: TargetStore) async -> Bool {
    let (changes, stored) = state.withLock { ($0.changes, $0.stored) }
    do {
      let (set, damage) = try await store.apply(changes.map(\.change), known: stored)
      state.withLock { state in
        if let last = changes.last?.number { state.changes.removeAll { $0.number <= last } }
        state.stored = set
        state.set = set
        for (_, change) in state.changes { state.set.apply(change) }
      }
      if let damage {
        logger.warning(
          "the database was damaged and is set aside", metadata: ["reason": "\(damage.reason)", "aside": "\(damage.setAside)"])
      }
      status.noteOvercome(Self.complaint)
      tell()
      return true
    } catch {
      status.note(error: "\(error)", about: Self.complaint, logger: logger)
      return false
    }
  }
}

extension TargetChange {
  fileprivate var isAllowed: Bool { if case .allow = self { true } else { false } }
}
