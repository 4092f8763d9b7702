import Crypto
import FoundationEssentials
import X509
import YAML

/// The cloud's certificate authority: signs certificates of nodes, and the join tokens.
struct CertificateAuthority: Sendable {
  let certificate: Certificate
  let der: [UInt8]
  let pem: String
  let keyPEM: String
  private let key: P256.Signing.PrivateKey

  /// A new authority.
  init() throws {
    let key = P256.Signing.PrivateKey()
    let name = try DistinguishedName { CommonName("KubeEdge") }
    let now = Self.now
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(bytes: [0x04, 0x00]), publicKey: .init(key.publicKey), notValidBefore: now,
      notValidAfter: now + 100 * 364 * 86_400, issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
        Critical(KeyUsage(digitalSignature: true, keyEncipherment: true, keyCertSign: true))
        try ExtendedKeyUsage([.serverAuth, .clientAuth])
      }, issuerPrivateKey: .init(key))
    try self.init(certificate: certificate, key: key)
  }

  /// An authority that was kept.
  init(pem: String, keyPEM: String) throws {
    try self.init(certificate: try Certificate(pemEncoded: pem), key: try P256.Signing.PrivateKey(pemRepresentation: keyPEM))
  }

  private init(certificate: Certificate, key: P256.Signing.PrivateKey) throws {
    self.certificate = certificate
    self.key = key
    let document = try certificate.serializeAsPEM()
    der = document.derBytes
    pem = document.pemString + "\n"
    keyPEM = key.pemRepresentation
  }

  /// The second that runs, as Go writes times into certificates. They would be rounded otherwise, and half of the certificates would begin
  /// only in the next second.
  private static var now: Date { Date(timeIntervalSince1970: Double(WireTime.seconds)) }

  // MARK: Tokens

  private var tokenKey: SymmetricKey { SymmetricKey(data: key.derRepresentation) }

  /// `<hash of the authority>.<JWT>`
  func joinToken(life: Duration) -> String {
    let hash = SHA256.hash(data: der).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    let expiry = JSONValue.number(String(WireTime.seconds + life.wholeSeconds))
    return hash + "." + WebToken.hs256(claims: .members(("exp", expiry)), key: tokenKey)
  }

  func isValidJoinToken(_ token: Substring) -> Bool { WebToken.isValid(token, key: tokenKey) }

  func serviceAccountToken(claims: JSONValue) throws -> String { try WebToken.es256(claims: claims, key: key) }

  // MARK: Certificates

  /// A certificate and key for the cloud's own listeners, both in PEM.
  func serverIdentity(addresses: [String]) throws -> (certificate: String, key: String) {
    let serverKey = P256.Signing.PrivateKey()
    let now = Self.now
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(serverKey.publicKey), notValidBefore: now - 60,
      notValidAfter: now + 365 * 86_400, issuer: self.certificate.subject,
      subject: try DistinguishedName {
        OrganizationName("KubeEdge")
        CommonName("KubeEdge")
      }, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(KeyUsage(digitalSignature: true, keyEncipherment: true))
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames(addresses.compactMap(Self.bytes(ofAddress:)).map { .ipAddress(.init(contentBytes: $0[...])) })
      }, issuerPrivateKey: .init(key))
    return (try certificate.serializeAsPEM().pemString, serverKey.pemRepresentation)
  }

  private static func bytes(ofAddress text: String) -> [UInt8]? {
    let parts = text.split(separator: ".").compactMap { UInt8($0) }
    return parts.count == 4 ? parts : nil
  }

  /// Signs a request: of its subject only the common name and the organization are kept, the request's own signature isn't looked at.
  ///
  /// - Parameters:
  ///   - request: PKCS #10 in DER.
  ///   - usages: numbers as Go's `x509.ExtKeyUsage` has them.
  /// - Returns: the certificate in DER.
  func sign(request: [UInt8], usages: [Int], life: Duration) throws -> [UInt8] {
    let request = try CertificateSigningRequest(derEncoded: request)
    let subject = Subject(request.subject)
    let now = Self.now
    let names = try request.attributes.extensionRequest?.extensions.subjectAlternativeNames
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(bytes: (0..<8).map { $0 == 0 ? UInt8.random(in: 1...0x7F) : UInt8.random(in: 0...255) }),
      publicKey: request.publicKey, notValidBefore: now, notValidAfter: now + life.seconds, issuer: self.certificate.subject,
      subject: try DistinguishedName {
        for organization in subject.organizations { OrganizationName(organization) }
        CommonName(subject.commonName)
      }, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(KeyUsage(digitalSignature: true, keyEncipherment: true))
        try ExtendedKeyUsage(usages.compactMap { $0 == 1 ? .serverAuth : $0 == 2 ? .clientAuth : $0 == 0 ? .any : nil })
        if let names { names }
      }, issuerPrivateKey: .init(key))
    return try certificate.serializeAsPEM().derBytes
  }

  /// A node's certificate and key, both PEM.
  func nodeIdentity(_ node: String, life: Duration) throws -> (certificate: String, key: String) {
    try clientIdentity("system:node:\(node)", organization: "system:nodes", life: life)
  }

  /// A client's certificate and key, both PEM.
  func clientIdentity(_ name: String, organization: String, life: Duration) throws -> (certificate: String, key: String) {
    let clientKey = P256.Signing.PrivateKey()
    let subject = try DistinguishedName {
      OrganizationName(organization)
      CommonName(name)
    }
    let request = try CertificateSigningRequest(
      version: .v1, subject: subject, privateKey: Certificate.PrivateKey(clientKey), attributes: .init())
    let signed = try Certificate(derEncoded: try sign(request: try request.serializeAsPEM().derBytes, usages: [2], life: life))
    return (try signed.serializeAsPEM().pemString + "\n", clientKey.pemRepresentation + "\n")
  }

  /// Whether a node's certificate may be exchanged for a new one of the same name.
  func accepts(clientCertificate der: [UInt8], ofNode node: String) -> Bool {
    guard let certificate = try? Certificate(derEncoded: der), certificate.issuer == self.certificate.subject,
      self.certificate.publicKey.isValidSignature(certificate.signature, for: certificate),
      certificate.notValidBefore <= Date(), Date() <= certificate.notValidAfter,
      let usage = try? certificate.extensions.extendedKeyUsage, usage.contains(.clientAuth)
    else { return false }
    let subject = Subject(certificate.subject)
    return subject.organizations.first == "system:nodes" && subject.commonName == "system:node:\(node)"
      || subject.organizations.first == "KubeEdge" && subject.commonName == "kubeedge.io"
  }

  /// The parts of a name that count here.
  struct Subject: Sendable {
    var commonName = ""
    var organizations: [String] = []

    init(_ name: DistinguishedName) {
      for attribute in name.flatMap({ $0 }) {
        guard let text = String(attribute.value) else { continue }
        if attribute.type == .RDNAttributeType.commonName { commonName = text }
        if attribute.type == .RDNAttributeType.organizationName { organizations.append(text) }
      }
    }
  }
}
