/// Asks for a token of a service account, and carries it back (authentication.k8s.io/v1 TokenRequest).
public struct TokenRequest: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta?
  public var spec: TokenRequestSpec
  public var status: TokenRequestStatus?

  public init(spec: TokenRequestSpec, status: TokenRequestStatus? = nil) {
    apiVersion = "authentication.k8s.io/v1"
    kind = "TokenRequest"
    self.spec = spec
    self.status = status
  }
}

public struct TokenRequestSpec: Codable, Sendable, Hashable {
  /// Whom the token is for; none means the API server.
  public var audiences: [String]?
  /// How long the token is to live; the answer says how long it really does, extensions for old clients left out.
  public var expirationSeconds: Int64?
  /// The token dies with that object.
  public var boundObjectRef: BoundObjectReference?

  public init(audiences: [String]? = nil, expirationSeconds: Int64? = nil, boundObjectRef: BoundObjectReference? = nil) {
    self.audiences = audiences
    self.expirationSeconds = expirationSeconds
    self.boundObjectRef = boundObjectRef
  }
}

public struct BoundObjectReference: Codable, Sendable, Hashable {
  public var kind: String?
  public var apiVersion: String?
  public var name: String?
  public var uid: String?

  public init(kind: String? = nil, apiVersion: String? = nil, name: String? = nil, uid: String? = nil) {
    self.kind = kind
    self.apiVersion = apiVersion
    self.name = name
    self.uid = uid
  }
}

/// Printing it never shows the token.
public struct TokenRequestStatus: Codable, Sendable, Hashable {
  public var token: String
  public var expirationTimestamp: Timestamp

  public init(token: String, expirationTimestamp: Timestamp) {
    self.token = token
    self.expirationTimestamp = expirationTimestamp
  }
}

extension TokenRequestStatus: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "token until \(expirationTimestamp)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["expirationTimestamp": expirationTimestamp]) }
}
