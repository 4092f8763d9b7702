/// Looks into JSON without building values: where the members of an object are.
public enum JSONScan {
  public static func isSpace(_ byte: UInt8) -> Bool { JSONParser.isSpace(byte) }

  /// The members of the object that the bytes hold: key, and the bytes of the value without the white space around them.
  ///
  /// - Throws: `JSONSyntaxError` if the whole is not well formed or no object.
  public static func members(of bytes: [UInt8], maximumDepth: Int = 256) throws(JSONSyntaxError) -> [(key: String, value: Range<Int>)] {
    let result: Result<[(key: String, value: Range<Int>)], JSONSyntaxError> = bytes.withUnsafeBufferPointer { buffer in
      var parser = JSONParser(bytes: buffer, duplicates: .lastWins, maximumDepth: maximumDepth)
      do throws(JSONSyntaxError) {
        return .success(try parser.memberRanges())
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }
}

extension JSONParser {
  /// The whole text as an object whose values are only skipped.
  mutating func memberRanges() throws(JSONSyntaxError) -> [(key: String, value: Range<Int>)] {
    var members: [(key: String, value: Range<Int>)] = []
    skipSpace()
    guard current == 0x7B else { throw problem("an object is expected") }
    position += 1
    skipSpace()
    if current == 0x7D {
      position += 1
    } else {
      while true {
        skipSpace()
        guard current == 0x22 else { throw problem("a key in quotes is expected") }
        let key = try string()
        skipSpace()
        guard current == 0x3A else { throw problem("a colon is expected") }
        position += 1
        skipSpace()
        let start = position
        try skipValue(depth: 1)
        members.append((key, start..<position))
        skipSpace()
        if current == 0x7D {
          position += 1
          break
        }
        guard current == 0x2C else { throw problem("a comma or } is expected") }
        position += 1
      }
    }
    skipSpace()
    guard position == bytes.count else { throw problem("something follows the value") }
    return members
  }

  /// Checks a value and moves behind it.
  private mutating func skipValue(depth: Int) throws(JSONSyntaxError) {
    guard depth < maximumDepth else { throw problem("more than \(maximumDepth) levels of nesting") }
    guard let opening = current, opening == 0x7B || opening == 0x5B else {
      if current == 0x22 { return try skipString() }
      _ = try value(depth: depth)
      return
    }
    let closing: UInt8 = opening == 0x7B ? 0x7D : 0x5D
    position += 1
    skipSpace()
    if current == closing {
      position += 1
      return
    }
    while true {
      skipSpace()
      if opening == 0x7B {
        guard current == 0x22 else { throw problem("a key in quotes is expected") }
        try skipString()
        skipSpace()
        guard current == 0x3A else { throw problem("a colon is expected") }
        position += 1
        skipSpace()
      }
      try skipValue(depth: depth + 1)
      skipSpace()
      if current == closing {
        position += 1
        return
      }
      guard current == 0x2C else { throw problem("a comma or the end of the list or object is expected") }
      position += 1
    }
  }

  private mutating func skipString() throws(JSONSyntaxError) {
    let start = position
    position += 1
    while let byte = current {
      if byte == 0x22 {
        position += 1
        return
      }
      if byte == 0x5C {
        // Escapes are rare: the thorough way checks them.
        position = start
        _ = try string()
        return
      }
      guard byte >= 0x20 else { throw problem("a control character in a string") }
      position += 1
    }
    throw problem("the text ends inside a string")
  }
}
