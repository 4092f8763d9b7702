/// `modules.edgeStream`: the tunnel over which `kubectl logs`, `exec`, `attach` and `top` reach the node.
public struct EdgeStreamConfiguration: Codable, Sendable, Hashable {
  public var enable = false
  public var tlsTunnelCAFile = "/etc/kubeedge/ca/rootCA.crt"
  public var tlsTunnelCertFile = "/etc/kubeedge/certs/server.crt"
  public var tlsTunnelPrivateKeyFile = "/etc/kubeedge/certs/server.key"
  /// Seconds.
  public var handshakeTimeout: Int32 = 30
  /// Seconds; not used.
  public var readDeadline: Int32 = 15
  /// Seconds.
  public var writeDeadline: Int32 = 15
  /// `host:port`
  public var server = "127.0.0.1:10004"
  public init() {}
}
