/// What names and values of properties may be.
enum TwinRules {
  private static let allowed: [Bool] = {
    var table = [Bool](repeating: false, count: 256)
    for range in [UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9")] {
      for byte in range { table[Int(byte)] = true }
    }
    for byte in "-_.,:/@#".utf8 { table[Int(byte)] = true }
    return table
  }()

  static func isKey(_ text: String) -> Bool { isPlain(text, limit: 128) }

  static func isValue(_ text: String) -> Bool { isPlain(text, limit: 512) }

  private static func isPlain(_ text: String, limit: Int) -> Bool {
    let bytes = text.utf8
    return (1...limit).contains(bytes.count) && bytes.allSatisfy { allowed[Int($0)] }
  }

  /// - Throws: `Rejection` if the value is none of that type, or the type is none.
  static func check(_ value: String, type: String) throws(Rejection) {
    switch type {
    case "", "string", Twin.deletedType: return
    case "int", "integer":
      // As Go reads it: a sign is allowed, blanks and underscores are not.
      if Int64(value) == nil { throw Rejection(400, "the value is not int or integer") }
    case "float":
      if !isFloat(value) { throw Rejection(400, "the value is not float") }
    case "boolean":
      if value != "true", value != "false" { throw Rejection(400, "the bool value must be true or false") }
    default: throw Rejection(400, "the value type is not allowed")
    }
  }

  private static func isFloat(_ text: String) -> Bool {
    // Blanks in front are skipped by strtod and refused by Go; values have none by their characters.
    guard let number = Double(text) else { return ["inf", "infinity", "nan"].contains(text.lowercased().drop { $0 == "-" || $0 == "+" }) }
    // A number that is too large is an error, unlike infinity in words.
    return number.isFinite || text.contains { $0.isLetter && !"eExXpP".contains($0) }
  }
}
