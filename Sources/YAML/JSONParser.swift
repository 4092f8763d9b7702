/// Why bytes are no JSON.
public struct JSONSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Byte offset of the problem.
  public var offset: Int
  public var problem: String
  public var description: String { "byte \(offset): \(problem)" }
}

extension JSONValue {
  /// What a reader does with a key that an object has twice.
  public enum DuplicateKeys: Sendable {
    /// The last one counts, as in Go.
    case lastWins
    case refused
  }

  /// Parses one JSON value from UTF-8; white space around it is allowed, anything else is not.
  ///
  /// - Parameter maximumDepth: values nested deeper are refused.
  /// - Throws: `JSONSyntaxError` with the byte offset and the problem.
  public init(
    json bytes: [UInt8], duplicates: DuplicateKeys = .lastWins, maximumDepth: Int = 256
  ) throws(JSONSyntaxError) {
    let result: Result<JSONValue, JSONSyntaxError> = bytes.withUnsafeBufferPointer { buffer in
      var parser = JSONParser(bytes: buffer, duplicates: duplicates, maximumDepth: maximumDepth)
      do throws(JSONSyntaxError) {
        return .success(try parser.whole())
      } catch {
        return .failure(error)
      }
    }
    self = try result.get()
  }

  /// Parses one JSON value from a string.
  ///
  /// - Throws: `JSONSyntaxError` with the byte offset and the problem.
  public init(json text: String) throws(JSONSyntaxError) { try self.init(json: Array(text.utf8)) }
}

/// A recursive descent parser over bytes in place.
struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  private let duplicates: JSONValue.DuplicateKeys
  let maximumDepth: Int
  var position = 0

  init(bytes: UnsafeBufferPointer<UInt8>, duplicates: JSONValue.DuplicateKeys, maximumDepth: Int) {
    self.bytes = bytes
    self.duplicates = duplicates
    self.maximumDepth = maximumDepth
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

  mutating func whole() throws(JSONSyntaxError) -> JSONValue {
    skipSpace()
    let value = try self.value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw problem("something follows the value") }
    return value
  }

  mutating func skipSpace() {
    while position < bytes.count, Self.isSpace(bytes[position]) { position += 1 }
  }

  func problem(_ text: String) -> JSONSyntaxError { JSONSyntaxError(offset: position, problem: text) }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    guard depth < maximumDepth else { throw problem("more than \(maximumDepth) levels of nesting") }
    switch current {
    case 0x7B: return try object(depth: depth)
    case 0x5B: return try array(depth: depth)
    case 0x22: return .string(try string())
    case 0x74: return try literal("true", .bool(true))
    case 0x66: return try literal("false", .bool(false))
    case 0x6E: return try literal("null", .null)
    case 0x2D, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39: return .number(try number())
    case nil: throw problem("the text ends where a value is expected")
    default: throw problem("a value is expected")
    }
  }

  private mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
    let count = text.utf8CodeUnitCount
    guard position + count <= bytes.count else { throw problem("a value is expected") }
    for index in 0..<count where bytes[position + index] != text.utf8Start[index] { throw problem("a value is expected") }
    position += count
    return value
  }

  private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    var items: [JSONValue] = []
    position += 1
    skipSpace()
    if current == 0x5D {
      position += 1
      return .array(items)
    }
    while true {
      skipSpace()
      items.append(try value(depth: depth + 1))
      skipSpace()
      switch current {
      case 0x2C: position += 1
      case 0x5D:
        position += 1
        return .array(items)
      default: throw problem("a comma or ] is expected")
      }
    }
  }

  private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
    var members: [JSONValue.Member] = []
    var index: [String: Int] = [:]
    position += 1
    skipSpace()
    if current == 0x7D {
      position += 1
      return .object(members)
    }
    while true {
      skipSpace()
      guard current == 0x22 else { throw problem("a key in quotes is expected") }
      let start = position
      let key = try string()
      skipSpace()
      guard current == 0x3A else { throw problem("a colon is expected") }
      position += 1
      skipSpace()
      let value = try value(depth: depth + 1)
      // Small objects are searched, large ones get an index.
      if members.count == 16 {
        for (place, member) in members.enumerated() { index[member.key] = place }
      }
      let existing = members.count < 16 ? members.firstIndex { $0.key == key } : index[key]
      if let existing {
        if duplicates == .refused {
          position = start
          throw problem("the key \"\(key)\" is given twice")
        }
        members[existing].value = value
      } else {
        if members.count >= 16 { index[key] = members.count }
        members.append(JSONValue.Member(key, value))
      }
      skipSpace()
      switch current {
      case 0x2C: position += 1
      case 0x7D:
        position += 1
        return .object(members)
      default: throw problem("a comma or } is expected")
      }
    }
  }

  private mutating func number() throws(JSONSyntaxError) -> String {
    let start = position
    if current == 0x2D { position += 1 }
    if current == 0x30 {
      position += 1
    } else {
      try digits()
    }
    if current == 0x2E {
      position += 1
      try digits()
    }
    if current == 0x65 || current == 0x45 {
      position += 1
      if current == 0x2B || current == 0x2D { position += 1 }
      try digits()
    }
    return String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
  }

  private mutating func digits() throws(JSONSyntaxError) {
    let start = position
    while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
    guard position > start else { throw problem("a digit is expected") }
  }

  mutating func string() throws(JSONSyntaxError) -> String {
    position += 1
    let start = position
    while position < bytes.count {
      let byte = bytes[position]
      if byte == 0x22 {
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
        position += 1
        return text
      }
      if byte == 0x5C { return try escapedString(start: start) }
      if byte < 0x20 { throw problem("a control character in a string") }
      position += 1
    }
    throw problem("the text ends inside a string")
  }

  private mutating func escapedString(start: Int) throws(JSONSyntaxError) -> String {
    var text = Array(bytes[start..<position])
    while let byte = current {
      if byte == 0x22 {
        position += 1
        return String(decoding: text, as: UTF8.self)
      }
      if byte < 0x20 { throw problem("a control character in a string") }
      position += 1
      guard byte == 0x5C else {
        text.append(byte)
        continue
      }
      guard let escape = current else { break }
      position += 1
      switch escape {
      case 0x22, 0x5C, 0x2F: text.append(escape)
      case 0x62: text.append(0x08)
      case 0x66: text.append(0x0C)
      case 0x6E: text.append(0x0A)
      case 0x72: text.append(0x0D)
      case 0x74: text.append(0x09)
      case 0x75: text.append(contentsOf: String(try unicodeEscape()).utf8)
      default:
        position -= 1
        throw problem("an unknown escape in a string")
      }
    }
    throw problem("the text ends inside a string")
  }

  /// The character of `\uXXXX` (its `\u` is read already), with the low half of a surrogate pair; half pairs become U+FFFD.
  private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
    let high = try hexadecimal()
    if (0xD800..<0xDC00).contains(high), current == 0x5C, position + 1 < bytes.count, bytes[position + 1] == 0x75 {
      let before = position
      position += 2
      let low = try hexadecimal()
      if (0xDC00..<0xE000).contains(low) {
        return Unicode.Scalar(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)) ?? "\u{FFFD}"
      }
      position = before
    }
    return Unicode.Scalar(high) ?? "\u{FFFD}"
  }

  private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      switch current {
      case .some(let byte) where (0x30...0x39).contains(byte): value = value << 4 | UInt32(byte - 0x30)
      case .some(let byte) where (0x41...0x46).contains(byte): value = value << 4 | UInt32(byte - 0x41 + 10)
      case .some(let byte) where (0x61...0x66).contains(byte): value = value << 4 | UInt32(byte - 0x61 + 10)
      default: throw problem("four hexadecimal digits are expected")
      }
      position += 1
    }
    return value
  }
}
