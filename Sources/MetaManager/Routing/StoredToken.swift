import KubernetesAPI
import YAML

/// A TokenRequest that was answered, as far as its age matters.
struct StoredToken: Sendable {
  /// A token is renewed when it is this old, however long it is good for.
  static let maximumAge: Duration = .seconds(24 * 3600)

  var expires: Timestamp
  var lifetime: Duration

  /// Nil if it has no token or no end.
  init?(_ tokenRequest: [UInt8], expirationSeconds: Int64) {
    guard let value = try? JSONValue(json: tokenRequest), let status = value["status"], status["token"]?.string?.isEmpty == false,
      let end = status["expirationTimestamp"]?.string, let expires = Timestamp(end)
    else { return nil }
    self.expires = expires
    lifetime = .seconds(value["spec"]?["expirationSeconds"]?.int ?? expirationSeconds)
  }

  func isFresh(at now: Timestamp) -> Bool {
    let left = expires - now
    return left > lifetime / 5 && lifetime - left < Self.maximumAge
  }
}
