import KubernetesAPI

/// A token that a pod shows to the API server, or to somebody else. Printing it never shows the token.
struct ServiceAccountToken: Sendable, Hashable {
  private static let longestUse = Duration.seconds(24 * 3600)

  var text: String
  /// When another one should take its place: after 80 % of its life, or after a day.
  var refreshAt: Timestamp
  var expiresAt: Timestamp

  /// - Parameters:
  ///   - lifetime: seconds from the token's birth to its end.
  ///   - jitter: how much earlier than needed it is renewed, so that not all tokens are at once.
  init(_ status: TokenRequestStatus, lifetime: Int64, jitter: Duration) {
    text = status.token
    expiresAt = status.expirationTimestamp
    let lifetime = min(max(lifetime, 0), 100 * 366 * 86_400)
    let issuedAt = expiresAt + .seconds(-lifetime)
    refreshAt = min(issuedAt + Self.longestUse, expiresAt + .seconds(-(lifetime / 5))) + (.zero - jitter)
  }
}

extension ServiceAccountToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  var description: String { "token until \(expiresAt)" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: ["refreshAt": refreshAt, "expiresAt": expiresAt]) }
}
