import Core

/// Messages as the cloud sends them.
enum WireText {
  /// Reads a message; what follows its JSON is ignored.
  ///
  /// - Throws: `MessageError`.
  static func message(_ bytes: [UInt8]) throws(MessageError) -> Message {
    do throws(MessageError) {
      return try Message(wire: bytes)
    } catch {
      guard let end = endOfObject(bytes), end < bytes.count else { throw error }
      return try Message(wire: Array(bytes[..<end]))
    }
  }

  /// Behind the closing brace of the object that the bytes begin with; nil if there is none.
  private static func endOfObject(_ bytes: [UInt8]) -> Int? {
    var depth = 0
    var isInString = false
    var isEscaped = false
    for (index, byte) in bytes.enumerated() {
      if isInString {
        if isEscaped { isEscaped = false } else if byte == 0x5C { isEscaped = true } else if byte == 0x22 { isInString = false }
        continue
      }
      switch byte {
      case 0x22: isInString = true
      case 0x7B: depth += 1
      case 0x7D:
        depth -= 1
        if depth <= 0 { return depth == 0 ? index + 1 : nil }
      default: break
      }
    }
    return nil
  }
}
