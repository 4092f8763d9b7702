/// A socket that was tried, and why no engine came of it.
public struct EngineAttempt: Sendable, Hashable, CustomStringConvertible {
  public enum Reason: Sendable, Hashable, CustomStringConvertible {
    case noSuchSocket
    case notASocket
    case permissionDenied
    /// The file is there and nobody listens, or the connection broke.
    case noConnection(String)
    /// gRPC works, CRI v1 doesn't: the plugin is disabled, or the engine is too old.
    case criDisabled(String)
    case noAnswer(String)
    case invalidEndpoint
    case dockerUnsupported

    public var description: String {
      switch self {
      case .noSuchSocket: "no such socket"
      case .notASocket: "not a Unix socket"
      case .permissionDenied: "permission denied"
      case .noConnection(let message): "no connection (\(message))"
      case .criDisabled(let message): "CRI v1 plugin disabled: Unimplemented (\(message))"
      case .noAnswer(let message): "no usable answer (\(message))"
      case .invalidEndpoint: "not an endpoint; allowed is unix:///absolute/path"
      case .dockerUnsupported: "Docker is not supported by this build"
      }
    }
  }

  public var endpoint: String
  public var reason: Reason

  public init(endpoint: String, reason: Reason) {
    self.endpoint = endpoint
    self.reason = reason
  }

  public var description: String { "\(endpoint): \(reason)" }
}
