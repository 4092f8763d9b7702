import FoundationEssentials
import YAML

/// What a node joins the cloud with: `<hash of the CA>.<JSON Web Token>`. A secret; it never shows itself in a text.
struct JoinToken: Sendable, Hashable {
  /// SHA-256 of the CA certificate's DER, hexadecimal in lower case.
  let caHash: String
  /// The part that the cloud gets to see.
  let jwt: String
  /// Nil if the token doesn't say; the cloud decides then.
  let expiry: Date?

  /// - Throws: `CertificateError.malformedToken`.
  init(_ text: String) throws(CertificateError) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4, parts.allSatisfy({ !$0.isEmpty }) else { throw .malformedToken(parts: parts.count { !$0.isEmpty }) }
    caHash = parts[0].lowercased()
    jwt = parts[1...].joined(separator: ".")
    expiry = Self.expiry(claims: String(parts[2]))
  }

  private static func expiry(claims: String) -> Date? {
    var base64 = String(claims.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
    guard let data = Data(base64Encoded: base64), let value = try? JSONValue(json: Array(data)),
      case .number(let seconds)? = value["exp"], let number = Double(seconds)
    else { return nil }
    return Date(timeIntervalSince1970: number)
  }
}

extension JoinToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  var description: String { "join token" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: []) }
}
