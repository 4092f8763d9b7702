import KubernetesAPI

/// An image that a container can't have now.
public struct ImageError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The container's waiting reason.
  public enum Reason: String, Sendable, Hashable {
    case errImagePull = "ErrImagePull"
    case imagePullBackOff = "ImagePullBackOff"
    case errImageNeverPull = "ErrImageNeverPull"
    case invalidImageName = "InvalidImageName"
    case imageInspectError = "ImageInspectError"
    case registryUnavailable = "RegistryUnavailable"
    case signatureValidationFailed = "SignatureValidationFailed"
  }

  public let reason: Reason
  /// The container's waiting message.
  public let message: String
  /// When the next pull is allowed; nil if time alone doesn't help.
  public let retryAt: ContinuousClock.Instant?

  public init(_ reason: Reason, _ message: String, retryAt: ContinuousClock.Instant? = nil) {
    self.reason = reason
    self.message = message
    self.retryAt = retryAt
  }

  public var description: String { "\(reason.rawValue): \(message)" }
}
