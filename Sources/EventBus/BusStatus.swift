import Logging
import Metrics
import Synchronization

/// What the module counts, and tells about itself.
final class BusStatus: Sendable {
  /// Why a message for the cloud was given up.
  enum Loss: String, Sendable, CaseIterable {
    /// The offline queue was full.
    case size
    case age
    /// It is larger than what the cloud takes.
    case tooLarge = "too-large"
    /// The agent runs without a connection to the cloud.
    case noCloud = "no-cloud"
    /// The offline queue can't be written.
    case disk
  }

  private struct State {
    var sent = 0
    var toTwins = 0
    var echoes = 0
    var dropped: [String: Int] = [:]
  }

  let bursts: BurstLog
  private let state = Mutex(State())
  private let sentCounter = Counter(label: "edgecore_mqtt_uploads_sent_total")
  private let storedCounter = Counter(label: "edgecore_mqtt_uploads_stored_total")
  private let waitingGauge = Gauge(label: "edgecore_mqtt_uploads_waiting")
  private let waitingBytesGauge = Gauge(label: "edgecore_mqtt_uploads_waiting_bytes")
  private let twinCounter = Counter(label: "edgecore_mqtt_twin_messages_total")
  private let lostTwinCounter = Counter(label: "edgecore_mqtt_twin_messages_dropped_total")
  private let echoCounter = Counter(label: "edgecore_mqtt_echoes_total")
  private let strayCounter = Counter(label: "edgecore_mqtt_stray_messages_total")
  private let rejectedCounter = Counter(label: "edgecore_mqtt_rejected_requests_total")
  private let lossCounters: [Loss: Counter]

  init(logger: Logger) {
    bursts = BurstLog(logger)
    lossCounters = Dictionary(
      uniqueKeysWithValues: Loss.allCases.map { loss in
        (loss, Counter(label: "edgecore_mqtt_uploads_dropped_total", dimensions: [("reason", loss.rawValue)]))
      })
    note(waiting: BusStore.State())
  }

  func noteSent(_ count: Int) {
    state.withLock { $0.sent += count }
    sentCounter.increment(by: count)
  }

  func noteStored(_ count: Int) { storedCounter.increment(by: count) }

  func note(waiting: BusStore.State) {
    waitingGauge.record(waiting.count)
    waitingBytesGauge.record(waiting.bytes)
  }

  func noteLost(_ count: Int, _ loss: Loss) {
    guard count > 0 else { return }
    state.withLock { $0.dropped[loss.rawValue, default: 0] += count }
    lossCounters[loss]?.increment(by: count)
  }

  func noteToTwins(_ count: Int) {
    guard count > 0 else { return }
    state.withLock { $0.toTwins += count }
    twinCounter.increment(by: count)
  }

  func noteLostForTwins(_ count: Int) { lostTwinCounter.increment(by: count) }

  func noteEchoes(_ count: Int) {
    guard count > 0 else { return }
    state.withLock { $0.echoes += count }
    echoCounter.increment(by: count)
  }

  /// Messages of topics that nobody has subscribed any more.
  func noteStrays(_ count: Int) { if count > 0 { strayCounter.increment(by: count) } }

  /// Something was asked of the module that it can't do.
  func noteRejected(_ kind: String, _ text: @autoclosure () -> String) {
    rejectedCounter.increment()
    bursts.note("rejected \(kind)", text())
  }

  var counts: (sent: Int, toTwins: Int, echoes: Int, dropped: [String: Int]) {
    state.withLock { ($0.sent, $0.toTwins, $0.echoes, $0.dropped) }
  }
}
