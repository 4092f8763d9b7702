/// Base64 with the standard alphabet and padding (RFC 4648), on bytes of ASCII.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let padding = UInt8(ascii: "=")
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 0xFF, count: 256)
    for (value, letter) in alphabet.enumerated() { values[Int(letter)] = UInt8(value) }
    return values
  }()

  /// The text as a JSON string, with its quotes.
  static func json(_ bytes: [UInt8]) -> [UInt8] {
    let count = (bytes.count + 2) / 3 * 4 + 2
    return [UInt8](unsafeUninitializedCapacity: count) { text, written in
      text[0] = UInt8(ascii: "\"")
      var place = 1
      alphabet.withUnsafeBufferPointer { alphabet in
        bytes.withUnsafeBufferPointer { bytes in
          var index = 0
          while index < bytes.count {
            let left = min(3, bytes.count - index)
            var group = UInt32(bytes[index]) << 16
            if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
            if left > 2 { group |= UInt32(bytes[index + 2]) }
            text[place] = alphabet[Int(group >> 18)]
            text[place + 1] = alphabet[Int(group >> 12 & 63)]
            text[place + 2] = left > 1 ? alphabet[Int(group >> 6 & 63)] : padding
            text[place + 3] = left > 2 ? alphabet[Int(group & 63)] : padding
            place += 4
            index += 3
          }
        }
      }
      text[place] = UInt8(ascii: "\"")
      written = count
    }
  }

  /// The bytes of a text; line ends in it mean nothing. nil if it is no base64.
  static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.underestimatedCount / 4 * 3)
    var group: UInt32 = 0
    var count = 0
    var paddings = 0
    for letter in text where letter != 0x0A && letter != 0x0D {
      if letter == padding {
        paddings += 1
        continue
      }
      let value = values[Int(letter)]
      guard value != 0xFF, paddings == 0 else { return nil }
      group = group << 6 | UInt32(value)
      count += 1
      if count == 4 {
        bytes.append(UInt8(group >> 16))
        bytes.append(UInt8(group >> 8 & 0xFF))
        bytes.append(UInt8(group & 0xFF))
        (group, count) = (0, 0)
      }
    }
    switch (count, paddings) {
    case (0, 0): break
    case (2, 2): bytes.append(UInt8(group >> 4))
    case (3, 1):
      bytes.append(UInt8(group >> 10))
      bytes.append(UInt8(group >> 2 & 0xFF))
    default: return nil
    }
    return bytes
  }
}
