extension LogLine {
  /// Reads a record of Docker's `json-file` log driver.
  init?(docker record: ArraySlice<UInt8>) {
    var scanner = JSONScanner(rest: record)
    guard scanner.skip(UInt8(ascii: "{")) else { return nil }
    var log: [UInt8]?
    var stream: Stream?
    var time: [UInt8]?
    while !scanner.skip(UInt8(ascii: "}")) {
      guard let key = scanner.string(), scanner.skip(UInt8(ascii: ":")) else { return nil }
      switch String(decoding: key, as: UTF8.self) {
      case "log":
        guard let text = scanner.string() else { return nil }
        log = text
      case "stream":
        guard let text = scanner.string() else { return nil }
        stream = Stream(text[...])
      case "time":
        guard let text = scanner.string() else { return nil }
        time = text
      default:
        guard scanner.skipValue() else { return nil }
      }
      _ = scanner.skip(UInt8(ascii: ","))
    }
    guard let stream, let time, time.count >= 20 else { return nil }
    // A record without text stands for nothing at all.
    let content = log ?? []
    let isWhole = content.last == UInt8(ascii: "\n")
    self.init(time: time[...], stream: stream, isPartial: !isWhole, content: isWhole ? content.dropLast() : content[...])
  }
}

/// Steps through JSON text byte by byte: a log has too many lines to build a tree of values for each.
private struct JSONScanner {
  var rest: ArraySlice<UInt8>

  private mutating func skipSpace() {
    while let byte = rest.first, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A { rest.removeFirst() }
  }

  /// Whether that byte came next; it is passed then.
  mutating func skip(_ byte: UInt8) -> Bool {
    skipSpace()
    guard rest.first == byte else { return false }
    rest.removeFirst()
    return true
  }

  /// The text of the string that comes next, in UTF-8 and without escapes.
  mutating func string() -> [UInt8]? {
    guard skip(UInt8(ascii: "\"")) else { return nil }
    var text: [UInt8] = []
    while let stop = rest.firstIndex(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
      text.append(contentsOf: rest[..<stop])
      let isEnd = rest[stop] == UInt8(ascii: "\"")
      rest = rest[(stop + 1)...]
      if isEnd { return text }
      guard appendEscaped(to: &text) else { return nil }
    }
    return nil
  }

  private mutating func appendEscaped(to text: inout [UInt8]) -> Bool {
    guard let byte = rest.popFirst() else { return false }
    switch byte {
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "u"):
      guard var code = hexQuad() else { return false }
      if (0xD800..<0xDC00).contains(code), rest.starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) {
        let saved = rest
        rest = rest.dropFirst(2)
        if let low = hexQuad(), (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          rest = saved
        }
      }
      text.append(contentsOf: String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8)
    default: text.append(byte)
    }
    return true
  }

  private mutating func hexQuad() -> UInt32? {
    guard rest.count >= 4 else { return nil }
    let digits = String(decoding: rest.prefix(4), as: UTF8.self)
    rest = rest.dropFirst(4)
    return UInt32(digits, radix: 16)
  }

  /// Passes any value.
  mutating func skipValue() -> Bool {
    var depth = 0
    repeat {
      skipSpace()
      guard let byte = rest.first else { return false }
      switch byte {
      case UInt8(ascii: "\""):
        guard string() != nil else { return false }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        rest.removeFirst()
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        rest.removeFirst()
      case UInt8(ascii: ","), UInt8(ascii: ":"):
        guard depth > 0 else { return false }
        rest.removeFirst()
      default:
        // A number or a word.
        guard let end = rest.firstIndex(where: { ",:]} ".utf8.contains($0) }), end > rest.startIndex else { return false }
        rest = rest[end...]
      }
    } while depth > 0
    return true
  }
}
