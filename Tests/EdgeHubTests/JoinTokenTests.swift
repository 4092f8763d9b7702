import FoundationEssentials
import Testing

@testable import EdgeHub

@Suite struct JoinTokenTests {
  private func jwt(_ claims: String) -> String {
    let base64 = Data(claims.utf8).base64EncodedString().filter { $0 != "=" }
    return "head." + String(base64.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }) + ".c2lnbmF0dXJl"
  }

  @Test func `has a hash, a web token and its end`() throws {
    let token = try JoinToken("ABCdef01." + jwt(#"{"exp":1760000000,"x":"???>>>"}"#))
    #expect(token.caHash == "abcdef01")
    #expect(token.jwt == jwt(#"{"exp":1760000000,"x":"???>>>"}"#))
    #expect(token.expiry == Date(timeIntervalSince1970: 1_760_000_000))
  }

  @Test func `may be without an end`() throws {
    #expect(try JoinToken("ab." + jwt("{}")).expiry == nil)
    #expect(try JoinToken("ab.c.d.e").expiry == nil)
  }

  @Test(arguments: [("", 0), ("a", 1), ("a.b.c", 3), ("a.b.c.d.e", 5), ("a.b..d", 3)])
  func `has four parts`(_ text: String, _ parts: Int) {
    #expect(throws: CertificateError.malformedToken(parts: parts)) { try JoinToken(text) }
  }

  @Test func `never shows itself`() throws {
    let token = try JoinToken("hash.head.claims.signature")
    var dumped = ""
    dump(token, to: &dumped)
    for text in ["\(token)", String(reflecting: token), dumped] {
      #expect(!text.contains("hash") && !text.contains("claims") && !text.contains("signature"), "\(text)")
    }
  }

  @Test func `dates of HTTP`() {
    #expect(HTTPDate.date("Sun, 06 Nov 1994 08:49:37 GMT") == Date(timeIntervalSince1970: 784_111_777))
    #expect(HTTPDate.date("Thu, 29 Feb 2024 00:00:00 GMT") == Date(timeIntervalSince1970: 1_709_164_800))
    #expect(HTTPDate.date("yesterday") == nil)
  }
}
