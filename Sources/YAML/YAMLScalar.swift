/// The meaning of a YAML scalar.
enum YAMLScalar {
  static let tagPrefix = "tag:yaml.org,2002:"

  struct Unresolvable: Error {
    var problem: String
  }

  /// - Parameters:
  ///   - plain: written without quotes and not as a block.
  ///   - tag: the tag given in the text, in its long form; nil without one.
  static func resolve(_ text: String, plain: Bool, tag: String?) throws(Unresolvable) -> JSONValue {
    guard let tag else { return plain ? try implicit(text) : .string(text) }
    guard tag.hasPrefix(tagPrefix) else { return .string(text) }
    let value: JSONValue
    let kind = tag.dropFirst(tagPrefix.count)
    switch kind {
    case "bool", "int", "float", "null": value = try implicit(text)
    case "binary": return .string(try binary(text))
    default: return .string(text)
    }
    switch (kind, value) {
    case ("bool", .bool), ("null", .null), ("float", .number): return value
    case ("int", .number(let number)) where isInteger(number): return value
    default: throw Unresolvable(problem: "`\(text)` is no !!\(kind)")
    }
  }

  private static func implicit(_ text: String) throws(Unresolvable) -> JSONValue {
    switch text {
    case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
    case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
    case "", "~", "null", "Null", "NULL": return .null
    case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
      throw Unresolvable(problem: "`\(text)` is a number that JSON can't hold; quote it if a string is meant")
    default: break
    }
    guard let first = text.utf8.first else { return .string(text) }
    switch first {
    case 0x2E:  // A dot: only a float, and without underscores.
      return float(text) ?? .string(text)
    case 0x2B, 0x2D, 0x30...0x39:
      let digits = text.utf8.contains(0x5F) ? String(text.filter { $0 != "_" }) : text
      return integer(digits) ?? float(digits) ?? .string(text)
    default: return .string(text)
    }
  }

  /// Integers in base 10, 16 (0x), 8 (0o, 0) and 2 (0b), with a sign.
  private static func integer(_ text: String) -> JSONValue? {
    var digits = Substring(text)
    var negative = false
    if let sign = digits.first, sign == "-" || sign == "+" {
      negative = sign == "-"
      digits = digits.dropFirst()
    }
    var radix = 10
    if digits.first == "0", digits.utf8.count > 1 {
      let prefixed = digits.dropFirst(2)
      switch digits.dropFirst().first {
      case "x", "X": (radix, digits) = (16, prefixed)
      case "o", "O": (radix, digits) = (8, prefixed)
      case "b", "B": (radix, digits) = (2, prefixed)
      default: (radix, digits) = (8, digits.dropFirst())
      }
    }
    guard let first = digits.utf8.first, first != 0x2B, first != 0x2D else { return nil }
    if let magnitude = UInt64(digits, radix: radix) { return .number((negative && magnitude != 0 ? "-" : "") + String(magnitude)) }
    // Beyond 64 bits only base 10 has a JSON text at hand.
    guard radix == 10, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return .number((negative ? "-" : "") + digits)
  }

  private static func float(_ text: String) -> JSONValue? {
    guard isFloat(text), let number = Double(text), number.isFinite else { return nil }
    return JSONValue(number)
  }

  /// `[-+]? ( . digits | digits [ . digits? ] ) [ e [-+]? digits ]`
  private static func isFloat(_ text: String) -> Bool {
    var rest = text.utf8[...]
    func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
    func dropDigits() -> Bool {
      let had = isDigit(rest.first)
      rest = rest.drop { isDigit($0) }
      return had
    }
    if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
    let whole = dropDigits()
    if rest.first == 0x2E {
      rest = rest.dropFirst()
      if !dropDigits(), !whole { return false }
    } else if !whole {
      return false
    }
    if let letter = rest.first, letter == 0x65 || letter == 0x45 {
      rest = rest.dropFirst()
      if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
      if !dropDigits() { return false }
    }
    return rest.isEmpty
  }

  private static func isInteger(_ text: String) -> Bool {
    !text.utf8.contains { $0 == 0x2E || $0 == 0x65 || $0 == 0x45 }
  }

  /// Base64 text as the string it stands for.
  private static func binary(_ text: String) throws(Unresolvable) -> String {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var padding = 0
    for byte in text.utf8 where byte != 0x20 && byte != 0x0A && byte != 0x0D && byte != 0x09 {
      let value: UInt32
      switch byte {
      case 0x41...0x5A: value = UInt32(byte - 0x41)
      case 0x61...0x7A: value = UInt32(byte - 0x61 + 26)
      case 0x30...0x39: value = UInt32(byte - 0x30 + 52)
      case 0x2B: value = 62
      case 0x2F: value = 63
      case 0x3D:
        padding += 1
        continue
      default: throw Unresolvable(problem: "!!binary holds a character that is not base64")
      }
      guard padding == 0 else { throw Unresolvable(problem: "!!binary goes on after its padding") }
      bits = bits << 6 | value
      count += 1
      if count % 4 == 0 {
        bytes += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8), UInt8(truncatingIfNeeded: bits)]
      }
    }
    switch count % 4 {
    case 0: break
    case 2: bytes.append(UInt8(truncatingIfNeeded: bits >> 4))
    case 3: bytes += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
    default: throw Unresolvable(problem: "!!binary is cut off")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
