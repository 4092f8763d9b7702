/// Why a request or a raw connection failed.
///
/// A cancelled task sees `CancellationError` instead.
public struct HTTPError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Kind: Sendable, Hashable {
    /// Nothing was sent: the URL, a header or an option can't be used.
    case invalidRequest
    /// Nobody listens there, the socket's file is missing, or the name has no address.
    case couldNotConnect
    /// `connectTimeout` or `timeout` has passed.
    case timedOut
    /// The handshake failed, or a certificate or key could not be used.
    case tls
    /// The peer ended or reset the connection (or the HTTP/2 stream) before the response was complete.
    case connectionLost
    /// The peer doesn't speak the protocol.
    case invalidResponse
    /// More bytes than the reader allows.
    case bodyTooLarge(limit: Int)
    /// The peer answered an upgrade with an ordinary response; `body` has at most 64 KiB of it.
    case upgradeRefused(status: Int, body: String)
    /// `HTTPClient.shutdown()` was called.
    case clientShutdown
    case other
  }

  public var kind: Kind
  public var method: String
  /// Without user, password, query and fragment.
  public var url: String
  public var unixSocketPath: String?
  /// libcurl's or the system's words.
  public var message: String

  public var description: String {
    let socket = unixSocketPath.map { " over \($0)" } ?? ""
    let detail = message.isEmpty ? "" : ": \(message)"
    return "\(method) \(url)\(socket): \(kind.summary)\(detail)"
  }
}

extension HTTPError.Kind {
  fileprivate var summary: String {
    switch self {
    case .invalidRequest: "the request can't be sent"
    case .couldNotConnect: "could not connect"
    case .timedOut: "timed out"
    case .tls: "TLS failed"
    case .connectionLost: "the connection was lost"
    case .invalidResponse: "the reply can't be understood"
    case .bodyTooLarge(let limit): "the body is larger than \(limit) bytes"
    case .upgradeRefused(let status, let body): "the upgrade was refused with status \(status): \(body.prefix(512))"
    case .clientShutdown: "the client was shut down"
    case .other: "failed"
    }
  }
}
