import Core
import Logging
import Metrics
import Synchronization

/// Messages that mean nothing: each is counted, the first of a kind is logged.
final class Complaints: Sendable {
  private let logger: Logger
  private let seen = Mutex<Set<String>>([])
  private static let kindLimit = 200

  init(logger: Logger) { self.logger = logger }

  func note(_ problem: String, _ message: Message) {
    Counter(label: "edgecore_meta_rejected_messages_total").increment()
    // What comes from outside may be of any length.
    let operation = message.operation.rawValue.prefix(40)
    let kind = "\(problem) \(operation) \((ObjectKey.type(ofResource: message.resource) ?? "").prefix(40))"
    let isNew = seen.withLock { $0.count < Self.kindLimit && $0.insert(kind).inserted }
    guard isNew else { return }
    logger.warning(
      "\(problem) (told once)",
      metadata: [
        "operation": "\(operation)", "resource": "\(message.resource.prefix(200))", "source": "\(message.route.source.prefix(40))",
        "id": "\(message.id.prefix(40))",
      ])
  }
}
