import Core
import FoundationEssentials

/// Why the node has no certificate that can be used, or got none.
enum CertificateError: Error, Sendable, Hashable {
  case missingToken(bootstrapFile: String)
  case malformedToken(parts: Int)
  /// Seen here, before anybody was asked.
  case tokenExpired(Date, now: Date)
  case tokenRefused(server: String, words: String)
  /// The server's CA is not the one that the token names.
  case caMismatch(server: String)
  /// What failed may have failed since one of the clocks is wrong.
  case clock(ours: Date, theirs: Date, problem: String)
  case unreachable(server: String, problem: String)
  case refused(server: String, status: Int, words: String)
  /// The server's certificate could not be verified.
  case untrustedServer(server: String, problem: String)
  case otherCA(server: String, caFile: String)
  case certificateExpired(Date, file: String)
  /// The files hold no certificate that can be used.
  case unusable(String)
  /// The server's answer makes no sense.
  case answer(server: String, problem: String)
  case file(String)
}

extension CertificateError: CustomStringConvertible {
  var description: String {
    switch self {
    case .missingToken(let file):
      "the node has no certificate and there is no token to get one with; put a token of the cloud into modules.edgeHub.token"
        + (file.isEmpty ? "" : " or into \(file)") + " (keadm gettoken prints it)"
    case .malformedToken(let parts):
      "the token has \(parts) parts, separated by dots; it has to have 4, as keadm gettoken prints it"
    case .tokenExpired(let end, let now):
      "the token expired at \(end.rfc3339), and by this node's clock it is \(now.rfc3339); get a new one with keadm gettoken"
    case .tokenRefused(let server, let words):
      "\(server) refused the token\(Self.quoted(words)); tokens live for a day: get a new one with keadm gettoken"
    case .caMismatch(let server):
      "the CA certificate of \(server) is not the one that the token names: it is another cloud's token, another cloud's server, "
        + "or somebody stands between"
    case .clock(let ours, let theirs, let problem):
      "\(problem); this node's clock says \(ours.rfc3339), the cloud's \(theirs.rfc3339): one of them is wrong"
    case .unreachable(let server, let problem): "\(server) can't be reached: \(problem)"
    case .refused(let server, let status, let words): "\(server) answered with status \(status)\(Self.quoted(words))"
    case .untrustedServer(let server, let problem): "the certificate of \(server) can't be verified: \(problem)"
    case .otherCA(let server, let caFile):
      "\(server) has another CA than \(caFile): the cloud was set up anew, or it is another one; to join it, give a token of it"
    case .certificateExpired(let end, let file):
      "the node's certificate in \(file) expired at \(end.rfc3339); put a new token of the cloud into modules.edgeHub.token"
    case .unusable(let problem): problem
    case .answer(let server, let problem): "the answer of \(server) can't be used: \(problem)"
    case .file(let problem): problem
    }
  }

  /// The same for the same error, whenever it happens.
  var identity: String {
    switch self {
    case .tokenExpired(let end, _): "token expired at \(end.rfc3339)"
    case .clock(_, _, let problem): "clock: \(problem)"
    default: description
    }
  }

  private static func quoted(_ words: String) -> String { words.isEmpty ? "" : ": \"\(words)\"" }
}
