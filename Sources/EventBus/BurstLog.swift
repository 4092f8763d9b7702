import Logging
import Synchronization

/// Says of things that come in bursts when one begins; the rest is counted elsewhere.
final class BurstLog: Sendable {
  /// So much quiet ends a burst.
  private static let quiet: Duration = .seconds(60)

  private let logger: Logger
  private let last = Mutex<[String: ContinuousClock.Instant]>([:])

  init(_ logger: Logger) { self.logger = logger }

  /// - Parameters:
  ///   - kind: what tells bursts apart.
  ///   - text: what is logged; "others like it are counted" is added.
  func note(_ kind: String, _ text: @autoclosure () -> String, _ metadata: @autoclosure () -> Logger.Metadata = [:]) {
    let now = ContinuousClock.now
    let isNew = last.withLock { last in
      defer { last[kind] = now }
      guard let before = last[kind] else { return true }
      return now - before >= Self.quiet
    }
    if isNew { logger.warning("\(text()); others like it are counted", metadata: metadata()) }
  }
}
