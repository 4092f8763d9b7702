import FoundationEssentials
import LocalAPI
import Logging
import Metrics
import Synchronization

/// What the module tells about itself: its state for people, and its metrics.
final class TunnelStatus: Sendable {
  private struct State {
    var connected = false
    var since = Date.now
    var connections = 0
    var sessions = 0
    var sessionsTotal = 0
    /// The last error since the tunnel was last connected.
    var lastError: String?
    var lastErrorWithTime: String?
  }

  private let server: String
  private let state = Mutex(State())
  private let connectedGauge = Gauge(label: "edgecore_tunnel_connected")
  private let connectionsCounter = Counter(label: "edgecore_tunnel_connections_total")
  private let sessionsGauge = Gauge(label: "edgecore_tunnel_sessions")
  private let sessionsCounter = Counter(label: "edgecore_tunnel_sessions_total")
  private let refusedCounter = Counter(label: "edgecore_tunnel_sessions_refused_total")

  init(server: String) {
    self.server = server
    connectedGauge.record(0)
    sessionsGauge.record(0)
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

  func noteSessionBegan() {
    let count = state.withLock { state in
      state.sessions += 1
      state.sessionsTotal += 1
      return state.sessions
    }
    sessionsGauge.record(count)
    sessionsCounter.increment()
  }

  func noteSessionEnded() {
    let count = state.withLock { state in
      state.sessions -= 1
      return state.sessions
    }
    sessionsGauge.record(count)
  }

  func noteRefused() { refusedCounter.increment() }

  /// Logs an error once, until it is another one or the tunnel was connected.
  func note(error: String, logger: Logger) {
    let isNew = state.withLock { state in
      defer { state.lastError = error }
      guard state.lastError != error else { return false }
      state.lastErrorWithTime = "\(Date.ISO8601FormatStyle().format(.now)) \(error)"
      return true
    }
    logger.log(level: isNew ? .warning : .debug, "\(error)")
  }

  var summary: TunnelSummary {
    state.withLock { state in
      TunnelSummary(
        server: server, connected: state.connected, since: Date.ISO8601FormatStyle().format(state.since), connections: state.connections,
        sessions: state.sessions, sessionsTotal: state.sessionsTotal, lastError: state.lastErrorWithTime)
    }
  }
}
