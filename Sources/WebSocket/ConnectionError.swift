import Glibc
import NIOCore
import NIOSSL
import NIOWebSocket

/// Why there is no connection to the cloud, or no more.
public enum ConnectionError: Error, Sendable, Hashable {
  case unreachable(server: String, problem: String)
  case handshakeTimeout(server: String, seconds: Int)
  /// The cloud's certificate could not be verified.
  case untrustedServer(server: String, problem: String)
  /// The cloud doesn't take the node's certificate.
  case certificateRefused(server: String, problem: String)
  case tls(server: String, problem: String)
  /// The answer to the request for a websocket was another one.
  case noWebsocket(server: String, status: Int, words: String)
  case lost(problem: String)
  case closedByCloud(code: Int?, reason: String)
  case messageTooLarge(limit: Int)
  case protocolViolation(String)
  case writeDeadline(seconds: Int)
  case mute(seconds: Int)
  /// This side has ended it.
  case ended

  /// Another certificate, or another CA, could change something.
  public var isAboutCertificates: Bool {
    switch self {
    case .untrustedServer, .certificateRefused: true
    default: false
    }
  }
}

extension ConnectionError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreachable(let server, let problem): "the cloud at \(server) can't be reached: \(problem)"
    case .handshakeTimeout(let server, let seconds): "the cloud at \(server) did not finish the handshake within \(seconds) s"
    case .untrustedServer(let server, let problem): "the certificate of the cloud at \(server) can't be verified: \(problem)"
    case .certificateRefused(let server, let problem): "the cloud at \(server) refuses the node's certificate: \(problem)"
    case .tls(let server, let problem): "TLS with the cloud at \(server) failed: \(problem)"
    case .noWebsocket(let server, let status, let words):
      "the cloud at \(server) answered the request for a websocket with status \(status)" + (words.isEmpty ? "" : ": \"\(words)\"")
    case .lost(let problem): "the connection to the cloud was lost: \(problem)"
    case .closedByCloud(let code, let reason):
      "the cloud closed the connection" + (code.map { " with code \($0)" } ?? "") + (reason.isEmpty ? "" : ": \"\(reason)\"")
    case .messageTooLarge(let limit): "the cloud sent a message of more than the \(limit) bytes that are allowed"
    case .protocolViolation(let problem): "the cloud broke the rules of websockets: \(problem)"
    case .writeDeadline(let seconds): "the cloud did not take a message within \(seconds) s"
    case .mute(let seconds): "the cloud was asked and has said nothing for \(seconds) s"
    case .ended: "the connection was ended here"
    }
  }
}

extension ConnectionError {
  /// What an error of the network, of TLS or of the websocket means while a connection is being made (`isOpen` false) or is used.
  init(_ error: any Error, server: String, isOpen: Bool, limit: Int) {
    if let error = error as? ConnectionError {
      self = error
      return
    }
    if case NIOWebSocketError.invalidFrameLength = error {
      self = .messageTooLarge(limit: limit)
      return
    }
    if error is NIOWebSocketError {
      self = .protocolViolation("\(error)")
      return
    }
    let text = "\(error)"
    if error as? NIOSSLExtraError == .failedToValidateHostname {
      self = .untrustedServer(server: server, problem: "it is not for this host name or address")
    } else if text.contains("CERTIFICATE_VERIFY_FAILED") {
      self = .untrustedServer(server: server, problem: "it is not of the node's CA, or not valid at this time")
    } else if let alert = Self.certificateAlerts.first(where: { text.contains($0.name) }) {
      self = .certificateRefused(server: server, problem: alert.meaning)
    } else if case NIOSSLError.uncleanShutdown = error, isOpen {
      self = .lost(problem: "the cloud ended it without a goodbye")
    } else if error is NIOSSLError || error is BoringSSLError {
      self = isOpen ? .lost(problem: Self.brief(text)) : .tls(server: server, problem: Self.brief(text))
    } else if case ChannelError.connectTimeout = error {
      self = .unreachable(server: server, problem: Self.words(error))
    } else if error is ChannelError {
      self = isOpen ? .lost(problem: "it is closed") : .unreachable(server: server, problem: "it ended the connection during the handshake")
    } else {
      let words = Self.words(error)
      self = isOpen ? .lost(problem: words) : .unreachable(server: server, problem: words)
    }
  }

  /// What went wrong, without where in the networking library it did.
  public static func words(_ error: any Error) -> String {
    switch error {
    case ChannelError.connectTimeout(let limit): return "no answer within \(limit.nanoseconds / 1_000_000_000) s"
    case let error as IOError:
      let text = String(cString: strerror(error.errnoCode))
      return text.prefix(1).lowercased() + text.dropFirst()
    default: return "\(error)"
    }
  }

  /// Alerts of TLS by which a server refuses a client's certificate.
  private static let certificateAlerts: [(name: String, meaning: String)] = [
    ("ALERT_CERTIFICATE_EXPIRED", "it has expired, or isn't valid yet, by the cloud's clock"),
    ("ALERT_UNKNOWN_CA", "it is not of the cloud's CA"),
    ("ALERT_BAD_CERTIFICATE", "the cloud can't verify it"),
    ("ALERT_CERTIFICATE_REVOKED", "it was revoked"),
    ("ALERT_CERTIFICATE_UNKNOWN", "the cloud can't use it"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "the cloud can't use it"),
    ("CERTIFICATE_REQUIRED", "it was not shown"),
    ("ALERT_ACCESS_DENIED", "access denied"),
  ]

  /// BoringSSL names files and lines; the reason is enough.
  private static func brief(_ text: String) -> String {
    guard let start = text.firstRange(of: "OPENSSL_internal:") else { return text }
    return String(text[start.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" })
  }
}
