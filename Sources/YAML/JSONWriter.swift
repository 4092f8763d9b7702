extension JSONValue {
  /// The value as JSON text; `pretty` puts each member and item on a line of its own, indented by two spaces.
  public func jsonText(pretty: Bool = false) -> String { String(decoding: jsonBytes(pretty: pretty), as: UTF8.self) }

  /// The value as JSON in UTF-8.
  public func jsonBytes(pretty: Bool = false) -> [UInt8] {
    var writer = JSONWriter(pretty: pretty)
    writer.write(self, level: 0)
    return writer.bytes
  }

  /// A finite number; whole numbers below 10^21 are written without fraction and exponent. Null for infinity and NaN.
  public init(_ number: Double) {
    guard number.isFinite else {
      self = .null
      return
    }
    if number == number.rounded(), abs(number) < 1e21 {
      self = .number(Int128(exactly: number).map { String($0) } ?? "\(number)")
    } else {
      self = .number("\(number)")
    }
  }
}

/// Appends the JSON text of values to bytes.
struct JSONWriter {
  private(set) var bytes: [UInt8] = []
  private let pretty: Bool

  init(pretty: Bool) { self.pretty = pretty }

  mutating func write(_ value: JSONValue, level: Int) {
    switch value {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
    case .number(let text): bytes.append(contentsOf: text.utf8)
    case .string(let text): write(text)
    case .array(let items):
      bytes.append(0x5B)
      for (index, item) in items.enumerated() {
        if index > 0 { bytes.append(0x2C) }
        newLine(level + 1)
        write(item, level: level + 1)
      }
      if !items.isEmpty { newLine(level) }
      bytes.append(0x5D)
    case .object(let members):
      bytes.append(0x7B)
      for (index, member) in members.enumerated() {
        if index > 0 { bytes.append(0x2C) }
        newLine(level + 1)
        write(member.key)
        bytes.append(0x3A)
        if pretty { bytes.append(0x20) }
        write(member.value, level: level + 1)
      }
      if !members.isEmpty { newLine(level) }
      bytes.append(0x7D)
    }
  }

  private mutating func newLine(_ level: Int) {
    guard pretty else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
  }

  mutating func write(_ text: String) {
    bytes.append(0x22)
    var text = text
    text.withUTF8 { buffer in
      var start = 0
      for (index, byte) in buffer.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5C {
        bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[start..<index]))
        start = index + 1
        bytes.append(0x5C)
        switch byte {
        case 0x22, 0x5C: bytes.append(byte)
        case 0x0A: bytes.append(0x6E)
        case 0x0D: bytes.append(0x72)
        case 0x09: bytes.append(0x74)
        default:
          let digits = String(byte, radix: 16)
          bytes.append(contentsOf: ("u00" + (digits.utf8.count == 1 ? "0" : "") + digits).utf8)
        }
      }
      bytes.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[start...]))
    }
    bytes.append(0x22)
  }
}
