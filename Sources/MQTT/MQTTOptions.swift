/// Where a broker is.
public enum MQTTServer: Sendable, Hashable, CustomStringConvertible {
  case tcp(host: String, port: Int)
  /// Path of a Unix socket.
  case unix(path: String)

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    }
  }
}

/// How a connection to a broker is secured.
public struct MQTTSecurity: Sendable, Hashable {
  /// Path of the certificates that vouch for the broker; nil: those of the system.
  public var caFile: String?
  /// Paths of the client's certificate and key; nil: it shows none.
  public var certificateFile: String?
  public var keyFile: String?
  /// Whether the broker's certificate and name are checked.
  public var verifies: Bool

  public init(caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, verifies: Bool = true) {
    self.caFile = caFile
    self.certificateFile = certificateFile
    self.keyFile = keyFile
    self.verifies = verifies
  }
}

/// How a client connects, and how much it keeps.
public struct MQTTOptions: Sendable {
  public var server: MQTTServer
  public var clientID: String
  public var user: String?
  public var password: String?
  public var security: MQTTSecurity?
  /// Whether the broker keeps subscriptions and messages while the client is away.
  public var keepsSession = true
  /// Seconds.
  public var keepAlive: Int32 = 30
  /// How long a connection may take until the broker has agreed.
  public var connectTimeout: Duration = .seconds(30)
  /// Delays between tries to connect.
  public var firstDelay: Duration = .milliseconds(500)
  public var longestDelay: Duration = .seconds(5)
  /// Messages that wait for whoever takes them; when that many do, nothing more is read.
  public var inboxCount = 4096
  public var inboxBytes = 16 << 20
  /// How long nothing is read, if nobody takes messages; then they are dropped.
  public var patience: Duration = .seconds(15)
  /// Publications that wait for the broker; older ones are dropped for newer ones.
  public var outboxCount = 4096
  public var outboxBytes = 16 << 20

  public init(server: MQTTServer, clientID: String) {
    self.server = server
    self.clientID = clientID
  }
}

/// Why there is no client.
public struct MQTTError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}
