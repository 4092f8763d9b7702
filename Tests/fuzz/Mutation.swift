/// Changes bytes of messages in the ways in which they may arrive broken, and in some in which they never would.
struct Mutation {
  private static let tokens: [[UInt8]] = [
    "null", "true", "{}", "[]", "\"\"", "-0", "1e999", "99999999999999999999", "9223372036854775807", "-9223372036854775808", "\"\\ud800\"",
    "\"\\u0000\"", "\"default/pod/web\"",
    "\"OK\"",
    "{\"ErrStatus\":{}}", "{\"Object\":null,\"Err\":{}}", "/", "//", "null/node/", "\u{FEFF}", "\"response\"", "\"delete\"",
  ].map { Array($0.utf8) }

  var random: SystemRandomNumberGenerator = SystemRandomNumberGenerator()

  /// A changed copy of `seed`; now and then with a piece of `other`.
  mutating func mutated(_ seed: [UInt8], with other: [UInt8]) -> [UInt8] {
    var bytes = seed
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      guard !bytes.isEmpty else { return bytes }
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<9, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
      case 3: bytes.removeLast(bytes.count - place)
      case 4: bytes.insert(contentsOf: Self.tokens.randomElement(using: &random) ?? [], at: place)
      case 5: replaceValue(in: &bytes, from: place)
      case 6:
        let start = Int.random(in: 0..<max(1, other.count), using: &random)
        bytes.insert(contentsOf: other[start..<min(other.count, start + 60)], at: place)
      case 7: bytes.insert(contentsOf: Array(repeating: UInt8(ascii: "["), count: Int.random(in: 1...600, using: &random)), at: place)
      default: bytes.append(contentsOf: bytes[place...].prefix(200))
      }
    }
    return bytes
  }

  /// Puts a token where a value begins, so that the whole stays JSON more often.
  private mutating func replaceValue(in bytes: inout [UInt8], from place: Int) {
    guard let colon = bytes[place...].firstIndex(of: UInt8(ascii: ":")) else { return }
    let end = bytes[colon...].firstIndex { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "}") } ?? bytes.endIndex
    bytes.replaceSubrange(colon + 1..<end, with: Self.tokens.randomElement(using: &random) ?? [])
  }
}
