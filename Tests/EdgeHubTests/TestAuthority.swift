import Crypto
import FoundationEssentials
import X509

@testable import EdgeHub

/// A CA of its own, for files of certificates.
struct TestAuthority {
  let key = P256.Signing.PrivateKey()
  let certificate: Certificate

  init() throws {
    let name = try DistinguishedName { CommonName("test") }
    let now = Date.now
    certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey), notValidBefore: now - 60, notValidAfter: now + 86_400,
      issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions { Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil)) },
      issuerPrivateKey: .init(key))
  }

  var text: String { get throws { try certificate.serializeAsPEM().pemString + "\n" } }

  /// A node's pair, as PEM.
  func pair(node: String, until end: Date = .now + 3600) throws -> (certificate: String, key: P256.Signing.PrivateKey) {
    let key = P256.Signing.PrivateKey()
    let subject = try DistinguishedName {
      OrganizationName("system:nodes")
      CommonName("system:node:\(node)")
    }
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey), notValidBefore: .now - 7200, notValidAfter: end,
      issuer: self.certificate.subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256, extensions: .init(),
      issuerPrivateKey: .init(self.key))
    return (try certificate.serializeAsPEM().pemString + "\n", key)
  }
}
