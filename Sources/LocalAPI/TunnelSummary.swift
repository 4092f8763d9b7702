/// How the tunnel stands over which logs, exec, attach and metrics go.
public struct TunnelSummary: Codable, Sendable, Hashable {
  /// `host:port` of the cloud's end.
  public var server: String
  public var connected: Bool
  /// RFC 3339: since when it is (not) connected.
  public var since: String
  /// Tunnels made since the agent started.
  public var connections: Int
  /// Sessions that are open.
  public var sessions: Int
  /// Sessions since the agent started.
  public var sessionsTotal: Int
  /// The last error: `<RFC 3339> <text>`; nil without one.
  public var lastError: String?

  public init(
    server: String, connected: Bool, since: String, connections: Int, sessions: Int, sessionsTotal: Int, lastError: String?
  ) {
    self.server = server
    self.connected = connected
    self.since = since
    self.connections = connections
    self.sessions = sessions
    self.sessionsTotal = sessionsTotal
    self.lastError = lastError
  }
}
