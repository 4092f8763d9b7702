/// How the agent stands with the cloud.
public struct CloudSummary: Codable, Sendable, Hashable {
  /// `host:port` of the websocket.
  public var server: String
  public var connected: Bool
  /// RFC 3339: since when it is (not) connected.
  public var since: String
  /// Connections made since the agent started.
  public var connections: Int
  /// RFC 3339: the end of the node's certificate; nil without one.
  public var certificateUntil: String?
  /// Messages sent and received since the agent started.
  public var sent: Int
  public var received: Int
  /// Entries that wait for the cloud.
  public var owed: Int?
  /// The last errors, the newest last: `<RFC 3339> <text>`.
  public var errors: [String]
  /// The tunnel for logs and the like; nil if the agent runs without.
  public var tunnel: TunnelSummary?
  /// HTTP for applications; nil if the agent runs without.
  public var serviceBus: ServiceBusSummary?

  public init(
    server: String, connected: Bool, since: String, connections: Int, certificateUntil: String?, sent: Int, received: Int, owed: Int?,
    errors: [String], tunnel: TunnelSummary? = nil
  ) {
    self.server = server
    self.connected = connected
    self.since = since
    self.connections = connections
    self.certificateUntil = certificateUntil
    self.sent = sent
    self.received = received
    self.owed = owed
    self.errors = errors
    self.tunnel = tunnel
  }
}
