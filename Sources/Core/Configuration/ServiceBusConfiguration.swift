/// `modules.serviceBus`: HTTP between applications on the node and the cloud.
public struct ServiceBusConfiguration: Codable, Sendable, Hashable {
  public var enable = false
  /// The address to listen on. Unless it is a loopback address, other hosts are served too.
  public var server = "127.0.0.1"
  public var port: Int32 = 9060
  /// Seconds that the cloud may take to answer; 0 or less: 30.
  public var timeout: Int32 = 60
  /// With `tlsPrivateKeyFile`: HTTPS, and no plain HTTP.
  public var tlsCertFile = ""
  public var tlsPrivateKeyFile = ""
  public init() {}
}
