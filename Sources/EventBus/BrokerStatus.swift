import Core
import LocalAPI
import Metrics
import Synchronization

/// What is known of one broker.
final class BrokerStatus: Sendable {
  private struct State {
    var received = 0
    var published = 0
    var dropped = 0
    var refused: Set<String> = []
  }

  let name: String
  let connection: ConnectionRecord
  private let server: String
  private let clientID: String
  private let state = Mutex(State())
  private let receivedCounter: Counter
  private let publishedCounter: Counter
  private let droppedCounter: Counter
  private let overflowCounter: Counter

  init(name: String, server: String, clientID: String) {
    self.name = name
    self.server = server
    self.clientID = clientID
    let broker = [("broker", name)]
    connection = ConnectionRecord(metrics: "edgecore_mqtt", dimensions: broker)
    receivedCounter = Counter(label: "edgecore_mqtt_received_total", dimensions: broker)
    publishedCounter = Counter(label: "edgecore_mqtt_published_total", dimensions: broker)
    droppedCounter = Counter(label: "edgecore_mqtt_publications_dropped_total", dimensions: broker)
    overflowCounter = Counter(label: "edgecore_mqtt_received_dropped_total", dimensions: broker)
  }

  func noteConnected() {
    state.withLock { $0.refused = [] }
    connection.noteConnected()
  }

  func noteReceived(_ count: Int) {
    state.withLock { $0.received += count }
    receivedCounter.increment(by: count)
  }

  func notePublished() {
    state.withLock { $0.published += 1 }
    publishedCounter.increment()
  }

  func noteDropped(_ count: Int) {
    state.withLock { $0.dropped += count }
    droppedCounter.increment(by: count)
  }

  func noteOverflow(_ count: Int) { overflowCounter.increment(by: count) }

  func note(refused filter: String) { state.withLock { _ = $0.refused.insert(filter) } }

  func summary(waiting: Int, pid: Int?) -> BusSummary.Broker {
    let standing = connection.standing
    return state.withLock { state in
      .init(
        name: name, server: server, clientID: clientID, connected: standing.isConnected, since: standing.since.rfc3339,
        connections: standing.connections, received: state.received, published: state.published, waiting: waiting, dropped: state.dropped,
        refused: state.refused.sorted(), pid: pid, lastError: standing.errors.last)
    }
  }
}
