import Curl
import FoundationEssentials

/// Asks the cloud's HTTPS server for certificates.
struct BootstrapClient: Sendable {
  static let limit = 1 << 20
  /// For a whole exchange.
  static let timeout: Duration = .seconds(30)

  /// Who asks for a certificate.
  enum Proof: Sendable {
    case token(JoinToken)
    /// PEM files of the certificate that the node has.
    case certificate(file: String, keyFile: String)
  }

  struct Answer: Sendable {
    var der: [UInt8]
    /// What time it was for the server.
    var date: Date?
  }

  /// `https://host:port`
  let server: String
  let http: HTTPClient

  /// The server's CA certificate, whoever the server is.
  func authority() async throws -> Answer {
    var request = HTTPRequest("GET", url("/ca.crt"))
    request.tls.verifiesPeer = false
    let (response, body) = try await send(request)
    let date = date(response)
    guard response.status == 200 else { throw CertificateError.refused(server: server, status: response.status, words: words(body)) }
    return Answer(der: body, date: date)
  }

  /// A signed certificate.
  ///
  /// - Parameters:
  ///   - request: PKCS #10 in DER.
  ///   - caFile: PEM file of the CA that the server has to be of.
  func certificate(request csr: [UInt8], node: String, proof: Proof, caFile: String) async throws -> Answer {
    var request = HTTPRequest("GET", url("/edge.crt"), headers: [HTTPField("NodeName", node)], body: .bytes(csr))
    request.tls.caFile = caFile
    switch proof {
    case .token(let token): request.headers.append(HTTPField("Authorization", "Bearer \(token.jwt)"))
    case .certificate(let file, let keyFile):
      request.tls.certificateFile = file
      request.tls.privateKeyFile = keyFile
    }
    let (response, body) = try await send(request)
    let date = date(response)
    switch (response.status, proof) {
    case (200, _): return Answer(der: body, date: date)
    case (401, .token):
      throw Self.explained(.tokenRefused(server: server, words: words(body)), theirs: date, "the cloud refuses the token")
    default: throw CertificateError.refused(server: server, status: response.status, words: words(body))
    }
  }

  private func send(_ request: HTTPRequest) async throws -> (HTTPResponse, [UInt8]) {
    var request = request
    request.timeout = Self.timeout
    request.isolatesConnection = true
    do {
      let response = try await http.execute(request)
      return (response, try await response.body.collect(upTo: Self.limit))
    } catch let error as HTTPError {
      switch error.kind {
      case .tls: throw CertificateError.untrustedServer(server: server, problem: error.message)
      case .bodyTooLarge, .invalidResponse: throw CertificateError.answer(server: server, problem: "\(error)")
      case .timedOut: throw CertificateError.unreachable(server: server, problem: "no answer within \(Self.timeout)")
      default: throw CertificateError.unreachable(server: server, problem: error.message)
      }
    }
  }

  /// If the clocks differ, that is what an error is about.
  static func explained(_ error: CertificateError, theirs: Date?, _ problem: String) -> CertificateError {
    let now = Date.now
    guard let theirs, abs(theirs.timeIntervalSince(now)) > 300 else { return error }
    return .clock(ours: now, theirs: theirs, problem: problem)
  }

  private func url(_ path: String) -> String { (server.hasSuffix("/") ? String(server.dropLast()) : server) + path }

  private func date(_ response: HTTPResponse) -> Date? { response.header("Date").flatMap(HTTPDate.date) }

  /// The beginning of what a server says, in one line.
  private func words(_ body: [UInt8]) -> String {
    let text = String(decoding: body.prefix(300), as: UTF8.self)
    return text.split(whereSeparator: { $0.isWhitespace || $0.asciiValue.map { $0 < 0x20 } == true }).joined(separator: " ")
  }
}
