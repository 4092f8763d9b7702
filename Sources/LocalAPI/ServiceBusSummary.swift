/// How the way stands over which applications on the node and the cloud exchange HTTP.
public struct ServiceBusSummary: Codable, Sendable, Hashable {
  /// `address:port` for applications.
  public var server: String
  /// It is listened on while there are target URLs.
  public var listening: Bool
  public var encrypted: Bool
  /// What applications may ask the cloud for, sorted.
  public var targetURLs: [String]
  /// Requests of applications since the agent started.
  public var requests: Int
  /// Requests of the cloud since the agent started.
  public var calls: Int
  /// The last error: `<RFC 3339> <text>`; nil without one.
  public var lastError: String?

  public init(
    server: String, listening: Bool, encrypted: Bool, targetURLs: [String], requests: Int, calls: Int, lastError: String?
  ) {
    self.server = server
    self.listening = listening
    self.encrypted = encrypted
    self.targetURLs = targetURLs
    self.requests = requests
    self.calls = calls
    self.lastError = lastError
  }
}
