import Core
import LocalAPI
import Metrics
import Synchronization

/// What the module tells about itself: its state for people, and its metrics.
final class TunnelStatus: Sendable {
  private struct State {
    var sessions = 0
    var sessionsTotal = 0
  }

  let connection = ConnectionRecord(metrics: "edgecore_tunnel")
  private let server: String
  private let state = Mutex(State())
  private let sessionsGauge = Gauge(label: "edgecore_tunnel_sessions")
  private let sessionsCounter = Counter(label: "edgecore_tunnel_sessions_total")
  private let refusedCounter = Counter(label: "edgecore_tunnel_sessions_refused_total")

  init(server: String) {
    self.server = server
    sessionsGauge.record(0)
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

  var summary: TunnelSummary {
    let standing = connection.standing
    return state.withLock { state in
      TunnelSummary(
        server: server, connected: standing.isConnected, since: standing.since.rfc3339, connections: standing.connections,
        sessions: state.sessions, sessionsTotal: state.sessionsTotal, lastError: standing.errors.last)
    }
  }
}
