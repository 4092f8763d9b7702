/// `modules.eventBus`: how the agent talks to MQTT brokers.
public struct EventBusConfiguration: Codable, Sendable, Hashable {
  /// Which brokers there are.
  public enum Mode: Int, Sendable, Hashable, CaseIterable {
    /// One that the agent runs.
    case `internal` = 0
    case both = 1
    /// One that somebody else runs.
    case external = 2

    public var hasInternal: Bool { self != .external }
    public var hasExternal: Bool { self != .internal }
  }

  public var enable = true
  /// 0: the internal broker, 1: both, 2: the external broker; others count as 0.
  public var mqttMode = 2
  public var mqttServerExternal = "tcp://127.0.0.1:1883"
  public var mqttServerInternal = "tcp://127.0.0.1:1884"
  /// Of what the agent publishes to the internal broker.
  public var mqttQOS = 0
  /// Of what the agent publishes to the internal broker.
  public var mqttRetain = false
  /// Messages that the internal broker keeps for each client that is away or slow.
  public var mqttSessionQueueSize = 100
  /// The agent's client id; empty: `edgecore-` and the node's name.
  public var mqttSubClientID = ""
  public var mqttPubClientID = ""
  public var mqttUsername = ""
  /// A secret.
  public var mqttPassword = ""
  public var eventBusTLS = TLS()
  public var internalBroker = InternalBroker()
  public var offlineQueue = OfflineQueue()
  public init() {}

  public var mode: Mode { Mode(rawValue: mqttMode) ?? .internal }

  /// For an external broker whose URL says TLS.
  public struct TLS: Codable, Sendable, Hashable {
    /// Whether the broker is verified and a certificate is shown.
    public var enable = false
    public var tlsMqttCAFile = "/etc/kubeedge/ca/rootCA.crt"
    public var tlsMqttCertFile = "/etc/kubeedge/certs/server.crt"
    public var tlsMqttPrivateKeyFile = "/etc/kubeedge/certs/server.key"
    public init() {}
  }

  /// The broker that the agent runs.
  public struct InternalBroker: Codable, Sendable, Hashable {
    /// The program, with or without its path.
    public var executable = "mosquitto"
    /// Made with mosquitto_passwd; empty: clients need no password.
    public var passwordFile = ""
    /// What clients may read and write; empty: everything.
    public var aclFile = ""
    /// The broker's certificate and key, if the URL says TLS.
    public var tlsCertFile = ""
    public var tlsPrivateKeyFile = ""
    /// If it is set, clients need a certificate that these vouch for.
    public var tlsClientCAFile = ""
    public init() {}
  }

  /// What devices say to the cloud while it is away.
  public struct OfflineQueue: Codable, Sendable, Hashable {
    /// A quantity of bytes.
    public var maxSize = "64Mi"
    public var maxAge = GoDuration.hours(168)
    public init() {}
  }
}
