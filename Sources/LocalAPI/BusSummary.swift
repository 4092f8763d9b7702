/// How the agent stands with MQTT brokers, and with what devices have to say.
public struct BusSummary: Codable, Sendable, Hashable {
  public struct Broker: Codable, Sendable, Hashable {
    /// `internal` or `external`.
    public var name: String
    public var server: String
    public var clientID: String
    public var connected: Bool
    /// RFC 3339: since when it is (not) connected.
    public var since: String
    /// Connections made since the agent started.
    public var connections: Int
    public var received: Int
    public var published: Int
    /// Publications that wait for the broker.
    public var waiting: Int
    /// Publications given up since the agent started.
    public var dropped: Int
    /// What the broker doesn't let the agent subscribe.
    public var refused: [String]
    /// Of the broker's process, if the agent runs it.
    public var pid: Int?
    /// The last error: `<RFC 3339> <text>`; nil without one.
    public var lastError: String?

    public init(
      name: String, server: String, clientID: String, connected: Bool, since: String, connections: Int, received: Int, published: Int,
      waiting: Int, dropped: Int, refused: [String], pid: Int?, lastError: String?
    ) {
      self.name = name
      self.server = server
      self.clientID = clientID
      self.connected = connected
      self.since = since
      self.connections = connections
      self.received = received
      self.published = published
      self.waiting = waiting
      self.dropped = dropped
      self.refused = refused
      self.pid = pid
      self.lastError = lastError
    }
  }

  public var brokers: [Broker]
  /// What the agent subscribes by itself.
  public var subscriptions: [String]
  /// What rules of the cloud subscribe.
  public var rules: [String]
  /// Messages of devices for the cloud that wait on the disk.
  public var stored: Int
  /// Their size in bytes.
  public var storedBytes: Int
  /// RFC 3339: when the oldest of them came; nil without one.
  public var storedSince: String?
  /// Messages handed to the cloud's connection since the agent started.
  public var sent: Int
  /// Messages of devices for the cloud that were given up since the agent started, by reason.
  public var dropped: [String: Int]
  /// Messages handed to the device twins.
  public var toTwins: Int
  /// The agent's own messages that came back and were ignored.
  public var echoes: Int

  public init(
    brokers: [Broker], subscriptions: [String], rules: [String], stored: Int, storedBytes: Int, storedSince: String?, sent: Int,
    dropped: [String: Int], toTwins: Int, echoes: Int
  ) {
    self.brokers = brokers
    self.subscriptions = subscriptions
    self.rules = rules
    self.stored = stored
    self.storedBytes = storedBytes
    self.storedSince = storedSince
    self.sent = sent
    self.dropped = dropped
    self.toTwins = toTwins
    self.echoes = echoes
  }
}
