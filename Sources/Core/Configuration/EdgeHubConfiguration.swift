/// `modules.edgeHub`: the connection to the cloud.
public struct EdgeHubConfiguration: Codable, Sendable, Hashable {
  public var enable = true
  /// Seconds between signs of life; after a lost connection, twice that is the longest wait before the next try.
  public var heartbeat: Int32 = 15
  public var projectID = "e632aba927ea4ac2b575ec1603d56f10"
  public var messageQPS: Int32 = 30
  public var messageBurst: Int32 = 60
  public var tlsCaFile = "/etc/kubeedge/ca/rootCA.crt"
  public var tlsCertFile = "/etc/kubeedge/certs/server.crt"
  public var tlsPrivateKeyFile = "/etc/kubeedge/certs/server.key"
  /// The join token: a secret, needed until the node has its certificate.
  public var token = ""
  /// Where keadm leaves a token; what is in it stands above `token`.
  public var bootstrapFile = "/etc/kubeedge/bootstrap-edgecore.conf"
  public var httpServer = "https://127.0.0.1:10002"
  public var rotateCertificates = true
  public var websocket = Transport(enable: true, server: "127.0.0.1:10000")
  public var quic = Transport(enable: false, server: "127.0.0.1:10001")
  public init() {}

  public struct Transport: Codable, Sendable, Hashable {
    public var enable: Bool
    /// `host:port`
    public var server: String
    /// Seconds.
    public var handshakeTimeout: Int32 = 30
    /// Seconds.
    public var readDeadline: Int32 = 15
    /// Seconds.
    public var writeDeadline: Int32 = 15

    public init(enable: Bool, server: String) {
      self.enable = enable
      self.server = server
    }
  }
}
