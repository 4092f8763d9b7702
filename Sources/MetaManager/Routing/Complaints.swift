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
    let kind = "\(problem) \(message.operation) \(ObjectKey.type(ofResource: message.resource) ?? "")"
    let isNew = seen.withLock { $0.count < Self.kindLimit && $0.insert(kind).inserted }
    guard isNew else { return }
    logger.warning(
      "\(problem) (told once)",
      metadata: [
        "operation": "\(message.operation)", "resource": "\(message.resource)", "source": "\(message.route.source)", "id": "\(message.id)",
      ])
  }
}
