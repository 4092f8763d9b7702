import Core
import FoundationEssentials
import LocalAPI
import Logging
import Metrics
import Synchronization

/// What the module tells about itself: its state for people, and its metrics.
final class ServiceBusStatus: Sendable {
  private struct State {
    var port: Int?
    var requests = 0
    var calls = 0
    var lastErrors: [String: String] = [:]
    var lastErrorWithTime: String?
  }

  private let server: String
  private let isEncrypted: Bool
  private let state = Mutex(State())
  private let listeningGauge = Gauge(label: "edgecore_servicebus_listening")
  private let targetsGauge = Gauge(label: "edgecore_servicebus_target_urls")
  private let answered = ServiceBusStatus.counter("edgecore_servicebus_requests_total", "answered")
  private let failed = ServiceBusStatus.counter("edgecore_servicebus_requests_total", "failed")
  private let refused = ServiceBusStatus.counter("edgecore_servicebus_requests_total", "refused")
  private let callsAnswered = ServiceBusStatus.counter("edgecore_servicebus_calls_total", "answered")
  private let callsFailed = ServiceBusStatus.counter("edgecore_servicebus_calls_total", "failed")
  private let callsRefused = ServiceBusStatus.counter("edgecore_servicebus_calls_total", "refused")

  init(_ configuration: ServiceBusConfiguration) {
    let host = configuration.server.contains(":") ? "[\(configuration.server)]" : configuration.server
    server = "\(host):\(configuration.port)"
    isEncrypted = !configuration.tlsCertFile.isEmpty || !configuration.tlsPrivateKeyFile.isEmpty
    listeningGauge.record(0)
    targetsGauge.record(0)
  }

  private static func counter(_ label: String, _ result: String) -> Counter { Counter(label: label, dimensions: [("result", result)]) }

  /// The port that is listened on; nil: none.
  var port: Int? { state.withLock { $0.port } }

  func note(port: Int?) {
    state.withLock { $0.port = port }
    listeningGauge.record(port == nil ? 0 : 1)
  }

  func note(targets: Int) { targetsGauge.record(targets) }

  /// A request of an application got its answer.
  enum Outcome: Sendable { case answered, failed, refused }

  func note(request outcome: Outcome) {
    state.withLock { $0.requests += 1 }
    switch outcome {
    case .answered: answered.increment()
    case .failed: failed.increment()
    case .refused: refused.increment()
    }
  }

  /// A request of the cloud was answered by an application, or in its place.
  func note(call outcome: Outcome) {
    state.withLock { $0.calls += 1 }
    switch outcome {
    case .answered: callsAnswered.increment()
    case .failed: callsFailed.increment()
    case .refused: callsRefused.increment()
    }
  }

  /// Logs an error once, until it is another one about the same thing, or was overcome.
  func note(error: String, about thing: String, logger: Logger) {
    let isNew = state.withLock { state in
      guard state.lastErrors[thing] != error else { return false }
      state.lastErrors[thing] = error
      state.lastErrorWithTime = "\(Date.now.rfc3339) \(thing): \(error)"
      return true
    }
    logger.log(level: isNew ? .error : .debug, "\(thing)", metadata: ["error": "\(error)"])
  }

  func noteOvercome(_ thing: String) { _ = state.withLock { $0.lastErrors.removeValue(forKey: thing) } }

  func summary(targets: [String]) -> ServiceBusSummary {
    state.withLock { state in
      ServiceBusSummary(
        server: server, listening: state.port != nil, encrypted: isEncrypted, targetURLs: targets, requests: state.requests,
        calls: state.calls, lastError: state.lastErrorWithTime)
    }
  }
}
