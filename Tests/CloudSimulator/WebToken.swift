import Crypto
import FoundationEssentials
import YAML

/// JSON Web Tokens: those that nodes join with (HS256) and those of service accounts (ES256).
enum WebToken {
  static func hs256(claims: JSONValue, key: SymmetricKey) -> String {
    let head = base64URL(JSONValue.members(("alg", .string("HS256")), ("typ", .string("JWT"))).jsonBytes())
    let signed = head + "." + base64URL(claims.jsonBytes())
    return signed + "." + base64URL(Array(HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: key)))
  }

  static func es256(claims: JSONValue, key: P256.Signing.PrivateKey) throws -> String {
    let id = base64URL(Array(SHA256.hash(data: key.publicKey.derRepresentation)))
    let head = base64URL(JSONValue.members(("alg", .string("ES256")), ("kid", .string(id))).jsonBytes())
    let signed = head + "." + base64URL(claims.jsonBytes())
    return signed + "." + base64URL(Array(try key.signature(for: Array(signed.utf8)).rawRepresentation))
  }

  /// Whether a token was signed with the key and has not expired.
  static func isValid(_ token: Substring, key: SymmetricKey) -> Bool {
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let signature = bytes(base64URL: parts[2]), let claims = bytes(base64URL: parts[1]) else { return false }
    let signed = parts[0] + "." + parts[1]
    guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: Array(signed.utf8), using: key) else { return false }
    guard let expiry = (try? JSONValue(json: claims))?["exp"]?.int else { return false }
    return expiry > Int64(WireTime.seconds)
  }

  static func base64URL(_ bytes: [UInt8]) -> String {
    Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
  }

  static func bytes(base64URL text: Substring) -> [UInt8]? {
    var text = text.replacing("-", with: "+").replacing("_", with: "/")
    while !text.count.isMultiple(of: 4) { text += "=" }
    return Data(base64Encoded: String(text)).map { Array($0) }
  }
}
