import Core
import Crypto
import Curl
import FoundationEssentials
import Logging
import X509

/// Sees to it that the node has a certificate: from disk, or from the cloud with a join token.
final class Enrollment: Sendable {
  private let server: String
  private let nodeName: String
  private let bootstrapFile: String
  private let files: CertificateFiles
  private let tokens: TokenSource
  private let status: HubStatus
  private let backoff: Backoff
  private let logger: Logger

  init(configuration: EdgeHubConfiguration, nodeName: String, tokens: TokenSource, status: HubStatus, backoff: Backoff, logger: Logger) {
    server = configuration.httpServer
    self.nodeName = nodeName
    bootstrapFile = configuration.bootstrapFile
    files = CertificateFiles(
      ca: configuration.tlsCaFile, certificate: configuration.tlsCertFile, key: configuration.tlsPrivateKeyFile, nodeName: nodeName)
    self.tokens = tokens
    self.status = status
    self.backoff = backoff
    self.logger = logger
  }

  /// The node's identity: the one on disk, or a new one, tried for until there is one.
  ///
  /// One that has expired, or that the cloud doesn't like, is replaced if there is a token; without, it stays: clocks can be wrong.
  ///
  /// - Parameter isDoubtful: a connection with it failed over certificates.
  /// - Throws: `CancellationError`.
  func identity(isDoubtful: Bool) async throws -> NodeIdentity {
    var backoff = backoff
    while true {
      try Task.checkCancellation()
      do {
        let identity = try await attempt(isDoubtful: isDoubtful)
        status.note(certificateUntil: identity.notAfter)
        return identity
      } catch let error as CertificateError {
        note(error)
      } catch let error as CancellationError {
        throw error
      } catch {
        note(.file("can't make a certificate request: \(error)"))
      }
      try await Task.sleep(for: backoff.next())
    }
  }

  private func attempt(isDoubtful: Bool) async throws -> NodeIdentity {
    let loaded: CertificateFiles.Loaded?
    do throws(CertificateError) {
      loaded = try files.load()
    } catch {
      // Damaged files are a reason to join anew, if that is possible.
      guard tokens.current != nil else { throw error }
      note(error)
      loaded = nil
    }
    guard let loaded else { return try await join(try token()) }
    if loaded.isRepaired {
      logger.warning(
        "the files of certificate and key did not fit together; put the fitting ones back", metadata: ["file": "\(files.certificate)"])
    }
    let identity = loaded.identity
    let now = Date.now
    let isExpired = identity.notAfter <= now
    if isExpired { note(.certificateExpired(identity.notAfter, file: files.certificate)) }
    if identity.notBefore > now {
      logger.warning(
        "the node's certificate isn't valid yet; is the clock right?",
        metadata: ["from": "\(identity.notBefore.rfc3339)", "now": "\(now.rfc3339)"])
    }
    guard isExpired || isDoubtful || !identity.isOfCA, tokens.current != nil else { return identity }
    do {
      return try await join(try token())
    } catch let error as CertificateError {
      note(error)
      return identity
    }
  }

  private func token() throws(CertificateError) -> JoinToken {
    guard let text = tokens.current else { throw .missingToken(bootstrapFile: bootstrapFile) }
    return try JoinToken(text)
  }

  // MARK: Joining

  private func join(_ token: JoinToken) async throws -> NodeIdentity {
    if let expiry = token.expiry, expiry <= .now { throw CertificateError.tokenExpired(expiry, now: .now) }
    let http = HTTPClient()
    do {
      let identity = try await join(token, BootstrapClient(server: server, http: http))
      await http.shutdown()
      tokens.spend()
      logger.notice("the node has joined the cloud", metadata: ["server": "\(server)", "until": "\(identity.notAfter.rfc3339)"])
      return identity
    } catch {
      await http.shutdown()
      throw error
    }
  }

  private func join(_ token: JoinToken, _ client: BootstrapClient) async throws -> NodeIdentity {
    let authority = try await client.authority()
    guard NodeIdentity.hash(authority.der) == token.caHash else { throw CertificateError.caMismatch(server: server) }
    guard let ca = try? Certificate(derEncoded: authority.der), let text = try? ca.serializeAsPEM().pemString else {
      throw CertificateError.answer(server: server, problem: "the CA certificate is none")
    }
    try files.writeNewCA(text + "\n")
    let new: (certificate: String, key: String)
    do {
      new = try await certificate(client, proof: .token(token), ca: ca, caFile: files.newCA)
    } catch CertificateError.untrustedServer(let server, let problem) {
      throw BootstrapClient.explained(
        .untrustedServer(server: server, problem: problem), theirs: authority.date, "the certificate of \(server) can't be verified")
    }
    try files.acceptNewCA()
    return try accept(new)
  }

  /// A new certificate for the same node from the same cloud; the one in use is the proof.
  ///
  /// - Throws: `CertificateError`, `CancellationError`.
  func renewed(_ identity: NodeIdentity) async throws -> NodeIdentity {
    let http = HTTPClient()
    do {
      let new = try await certificate(
        BootstrapClient(server: server, http: http), proof: .certificate(file: files.certificate, keyFile: files.key),
        ca: try Certificate(pemEncoded: identity.caText), caFile: files.ca)
      await http.shutdown()
      let renewed = try accept(new)
      status.note(certificateUntil: renewed.notAfter)
      return renewed
    } catch {
      await http.shutdown()
      throw error
    }
  }

  private func certificate(
    _ client: BootstrapClient, proof: BootstrapClient.Proof, ca: Certificate, caFile: String
  ) async throws -> (certificate: String, key: String) {
    let key = P256.Signing.PrivateKey()
    let answer = try await client.certificate(
      request: try NodeIdentity.signingRequest(node: nodeName, key: key), node: nodeName, proof: proof, caFile: caFile)
    guard let certificate = try? Certificate(derEncoded: answer.der), let text = try? certificate.serializeAsPEM().pemString else {
      throw CertificateError.answer(server: server, problem: "it is no certificate")
    }
    guard certificate.publicKey == Certificate.PrivateKey(key).publicKey,
      NodeIdentity.commonName(of: certificate) == NodeIdentity.commonName(ofNode: nodeName),
      ca.publicKey.isValidSignature(certificate.signature, for: certificate)
    else { throw CertificateError.answer(server: server, problem: "the certificate is not the one that was asked for") }
    if let theirs = answer.date, abs(theirs.timeIntervalSinceNow) > 300 {
      logger.warning(
        "this node's clock and the cloud's differ", metadata: ["ours": "\(Date.now.rfc3339)", "theirs": "\(theirs.rfc3339)"])
    }
    return (text + "\n", PEM.sec1(key))
  }

  private func accept(_ new: (certificate: String, key: String)) throws(CertificateError) -> NodeIdentity {
    try files.save(certificateText: new.certificate, keyText: new.key)
    guard let loaded = try files.load() else { throw .file("\(files.certificate) is gone right after it was written") }
    return loaded.identity
  }

  // MARK: Explaining

  /// Why the cloud's certificate could not be verified: another CA, a wrong clock; nil if that can't be told.
  func diagnosis() async -> CertificateError? {
    let http = HTTPClient()
    let answer = try? await BootstrapClient(server: server, http: http).authority()
    await http.shutdown()
    guard let answer else { return nil }
    if let bytes = try? DurableFile.read(files.ca), let text = PEM.block("CERTIFICATE", in: bytes),
      let der = try? Certificate(pemEncoded: text).serializeAsPEM().derBytes, der != answer.der
    {
      return .otherCA(server: server, caFile: files.ca)
    }
    let error = BootstrapClient.explained(.unusable(""), theirs: answer.date, "the cloud's certificate can't be verified")
    return error == .unusable("") ? nil : error
  }

  private func note(_ error: CertificateError) {
    status.connection.note(error: "\(error)", sameAs: error.identity, logger: logger)
  }
}
