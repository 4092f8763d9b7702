import Core
import Crypto
import FoundationEssentials
import WebSocket
import X509

/// What the node shows the cloud, and what it knows the cloud by.
struct NodeIdentity: Sendable {
  let certificate: Certificate
  /// PEM.
  let certificateText: String
  /// PEM; a secret.
  let keyText: String
  /// PEM.
  let caText: String
  /// Whether the CA in the CA file has signed the certificate.
  let isOfCA: Bool

  var credentials: ClientCredentials { ClientCredentials(ca: caText, certificate: certificateText, key: keyText) }

  var notBefore: Date { certificate.notValidBefore }
  var notAfter: Date { certificate.notValidAfter }

  /// The common name that a node's certificate has to have.
  static func commonName(ofNode name: String) -> String { "system:node:\(name)" }

  static func commonName(of certificate: Certificate) -> String? {
    for name in certificate.subject {
      for attribute in name where attribute.type == .RDNAttributeType.commonName { return String(attribute.value) }
    }
    return nil
  }

  /// What is sent to have a certificate signed, in DER.
  static func signingRequest(node: String, key: P256.Signing.PrivateKey) throws -> [UInt8] {
    let subject = try DistinguishedName {
      CountryName("CN")
      OrganizationName("system:nodes")
      LocalityName("Hangzhou")
      StateOrProvinceName("Zhejiang")
      CommonName(commonName(ofNode: node))
    }
    let request = try CertificateSigningRequest(
      version: .v1, subject: subject, privateKey: Certificate.PrivateKey(key), attributes: .init())
    return try request.serializeAsPEM().derBytes
  }

  /// SHA-256, hexadecimal in lower case.
  static func hash(_ der: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: SHA256.hash(data: der).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
  }
}

extension NodeIdentity: CustomStringConvertible, CustomReflectable {
  var description: String { "identity of \(Self.commonName(of: certificate) ?? "nobody") until \(notAfter.rfc3339)" }
  var customMirror: Mirror { Mirror(self, children: []) }
}
