import FoundationEssentials
import LocalAPI
import Logging
import Metrics
import Synchronization

/// What the module tells about itself: its state for people, and its metrics.
final class HubStatus: Sendable {
  static let keptErrors = 10

  private struct State {
    var connected = false
    var since = Date.now
    var connections = 0
    var certificateUntil: Date?
    var errors: [String] = []
    var lastError: String?
    var kinds: Set<String> = []
    var sent = 0
    var received = 0
  }

  private let server: String
  private let state = Mutex(State())
  private let connectedGauge = Gauge(label: "edgecore_cloud_connected")
  private let connectionsCounter = Counter(label: "edgecore_cloud_connections_total")
  private let sentCounter = Counter(label: "edgecore_cloud_sent_total")
  private let receivedCounter = Counter(label: "edgecore_cloud_received_total")
  private let rejectedCounter = Counter(label: "edgecore_cloud_rejected_total")
  private let droppedCounter = Counter(label: "edgecore_cloud_dropped_total")

  init(server: String) {
    self.server = server
    connectedGauge.record(0)
  }

  func noteConnected() {
    state.withLock { state in
      state.connected = true
      state.since = .now
      state.connections += 1
      state.lastError = nil
    }
    connectedGauge.record(1)
    connectionsCounter.increment()
  }

  func noteDisconnected() {
    state.withLock { state in
      state.connected = false
      state.since = .now
    }
    connectedGauge.record(0)
  }

  func note(certificateUntil date: Date) { state.withLock { $0.certificateUntil = date } }

  func noteSent() {
    state.withLock { $0.sent += 1 }
    sentCounter.increment()
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

  /// Logs an error once, until it is another one or the cloud was connected.
  /// - Parameter sameAs: what errors that are the same have in common; nil: their text.
  func note(error: String, sameAs identity: String? = nil, logger: Logger) {
    let identity = identity ?? error
    let isNew = state.withLock { state in
      defer { state.lastError = identity }
      guard state.lastError != identity else { return false }
      state.errors = (state.errors + ["\(Date.now.rfc3339) \(error)"]).suffix(Self.keptErrors)
      return true
    }
    logger.log(level: isNew ? .warning : .debug, "\(error)")
  }

  var summary: CloudSummary {
    state.withLock { state in
      CloudSummary(
        server: server, connected: state.connected, since: state.since.rfc3339, connections: state.connections,
        certificateUntil: state.certificateUntil?.rfc3339, sent: state.sent, received: state.received, owed: nil, errors: state.errors)
    }
  }
}
