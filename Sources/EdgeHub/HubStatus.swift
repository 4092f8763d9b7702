import Core
import FoundationEssentials
import LocalAPI
import Logging
import Metrics
import Synchronization

/// What the module tells about itself: its state for people, and its metrics.
final class HubStatus: Sendable {
  private struct State {
    var certificateUntil: Date?
    var kinds: Set<String> = []
    var sent = 0
    var received = 0
  }

  let connection = ConnectionRecord(metrics: "edgecore_cloud", keptErrors: 10)
  private let server: String
  private let state = Mutex(State())
  private let sentCounter = Counter(label: "edgecore_cloud_sent_total")
  private let receivedCounter = Counter(label: "edgecore_cloud_received_total")
  private let rejectedCounter = Counter(label: "edgecore_cloud_rejected_total")
  private let droppedCounter = Counter(label: "edgecore_cloud_dropped_total")

  init(server: String) { self.server = server }

  func note(certificateUntil date: Date) { state.withLock { $0.certificateUntil = date } }

  func noteSent(_ count: Int) {
    state.withLock { $0.sent += count }
    sentCounter.increment(by: count)
  }

  func noteReceived() {
    state.withLock { $0.received += 1 }
    receivedCounter.increment()
  }

  /// A message from here to the cloud was dropped, since the cloud is away.
  func noteDropped(_ count: Int = 1) { droppedCounter.increment(by: count) }

  /// A message from the cloud could not be used. Logged once for each kind of problem.
  func noteRejected(kind: String, logger: Logger) {
    rejectedCounter.increment()
    let isNew = state.withLock { state in state.kinds.count < 64 && state.kinds.insert(kind).inserted }
    if isNew { logger.warning("a message of the cloud was dropped; others like it are counted only", metadata: ["problem": "\(kind)"]) }
  }

  var summary: CloudSummary {
    let standing = connection.standing
    return state.withLock { state in
      CloudSummary(
        server: server, connected: standing.isConnected, since: standing.since.rfc3339, connections: standing.connections,
        certificateUntil: state.certificateUntil?.rfc3339, sent: state.sent, received: state.received, owed: nil, errors: standing.errors)
    }
  }
}
