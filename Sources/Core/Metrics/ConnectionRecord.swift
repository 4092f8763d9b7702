import FoundationEssentials
import Logging
import Metrics
import Synchronization

/// How a connection that comes and goes stands: for people, and as the metrics `…_connected` and `…_connections_total`.
public final class ConnectionRecord: Sendable {
  public struct Standing: Sendable, Hashable {
    public var isConnected = false
    /// Since when that is so.
    public var since = Date.now
    /// How often it was connected.
    public var connections = 0
    /// The last errors that were news, each with its time, the newest last.
    public var errors: [String] = []
    /// What the last error since the last connection was.
    fileprivate var lastError: String?
  }

  private let keptErrors: Int
  private let state = Mutex(Standing())
  private let connectedGauge: Gauge
  private let connectionsCounter: Counter

  /// - Parameters:
  ///   - name: what the metrics' names begin with.
  ///   - keptErrors: how many errors are kept.
  public init(metrics name: String, dimensions: [(String, String)] = [], keptErrors: Int = 1) {
    self.keptErrors = keptErrors
    connectedGauge = Gauge(label: "\(name)_connected", dimensions: dimensions)
    connectionsCounter = Counter(label: "\(name)_connections_total", dimensions: dimensions)
    connectedGauge.record(0)
  }

  public var standing: Standing { state.withLock { $0 } }

  public func noteConnected() {
    state.withLock { state in
      state.isConnected = true
      state.since = .now
      state.connections += 1
      state.lastError = nil
    }
    connectedGauge.record(1)
    connectionsCounter.increment()
  }

  public func noteDisconnected() {
    state.withLock { state in
      state.isConnected = false
      state.since = .now
    }
    connectedGauge.record(0)
  }

  /// Logs an error as a warning once, until it is another one or there was a connection.
  /// - Parameter identity: what errors that are the same have in common; nil: their text.
  public func note(error: String, sameAs identity: String? = nil, logger: Logger) {
    let identity = identity ?? error
    let isNew = state.withLock { state in
      defer { state.lastError = identity }
      guard state.lastError != identity else { return false }
      state.errors = (state.errors + ["\(Date.now.rfc3339) \(error)"]).suffix(keptErrors)
      return true
    }
    logger.log(level: isNew ? .warning : .debug, "\(error)")
  }
}

extension Date {
  /// In UTC, whole seconds.
  public var rfc3339: String { Date.ISO8601FormatStyle().format(self) }
}
