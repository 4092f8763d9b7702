/// What a client shows the cloud, and what it knows the cloud by; all of it PEM.
public struct ClientCredentials: Sendable {
  public let ca: String
  public let certificate: String
  /// A secret.
  public let key: String

  public init(ca: String, certificate: String, key: String) {
    self.ca = ca
    self.certificate = certificate
    self.key = key
  }
}

extension ClientCredentials: CustomStringConvertible, CustomReflectable {
  public var description: String { "credentials of a client" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
