extension YAML {
  /// The value as block style YAML, ending in a new line.
  ///
  /// - Parameter comment: asked for the comment to put above each key; its lines become `# …` lines.
  public static func text(_ value: JSONValue, comment: ([PathComponent]) -> String? = { _ in nil }) -> String {
    withoutActuallyEscaping(comment) { comment in
      var writer = YAMLWriter(comment: comment)
      writer.write(value, level: 0, path: [])
      return writer.text
    }
  }
}

/// Appends block style YAML to a text.
struct YAMLWriter {
  private(set) var text = ""
  private let comment: ([PathComponent]) -> String?

  init(comment: @escaping ([PathComponent]) -> String?) { self.comment = comment }

  /// Writes a value that begins on a line of its own.
  mutating func write(_ value: JSONValue, level: Int, path: [PathComponent]) {
    switch value {
    case .object(let members) where !members.isEmpty:
      for member in members { write(member, level: level, path: path + [.key(member.key)], indentFirst: true) }
    case .array(let items) where !items.isEmpty:
      for (index, item) in items.enumerated() { write(item: item, level: level, path: path + [.index(index)]) }
    default:
      indent(level)
      text += scalar(value) + "\n"
    }
  }

  private mutating func indent(_ level: Int) { text += String(repeating: "  ", count: level) }

  private mutating func write(_ member: JSONValue.Member, level: Int, path: [PathComponent], indentFirst: Bool) {
    if indentFirst {
      if let comment = comment(path) {
        for line in comment.split(separator: "\n", omittingEmptySubsequences: false) {
          indent(level)
          text += line.isEmpty ? "#\n" : "# \(line)\n"
        }
      }
      indent(level)
    }
    text += scalar(.string(member.key)) + ":"
    switch member.value {
    case .object(let members) where !members.isEmpty:
      text += "\n"
      write(member.value, level: level + 1, path: path)
    case .array(let items) where !items.isEmpty:
      text += "\n"
      write(member.value, level: level, path: path)
    default: text += " " + scalar(member.value) + "\n"
    }
  }

  private mutating func write(item: JSONValue, level: Int, path: [PathComponent]) {
    indent(level)
    text += "-"
    switch item {
    case .object(let members) where !members.isEmpty:
      text += " "
      for (index, member) in members.enumerated() {
        write(member, level: level + 1, path: path + [.key(member.key)], indentFirst: index > 0)
      }
    case .array(let items) where !items.isEmpty:
      text += "\n"
      write(item, level: level + 1, path: path)
    default: text += " " + scalar(item) + "\n"
    }
  }

  private func scalar(_ value: JSONValue) -> String {
    switch value {
    case .object: return "{}"
    case .array: return "[]"
    case .string(let string): return isPlain(string) ? string : Self.quoted(value.jsonText())
    default: return value.jsonText()
    }
  }

  /// A JSON string as a double quoted YAML string: what YAML takes for a line's end, or refuses, must be escaped there.
  private static func quoted(_ json: String) -> String {
    let isSpecial = { (scalar: Unicode.Scalar) -> Bool in
      switch scalar.value {
      case 0x7F...0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF: true
      default: false
      }
    }
    guard json.unicodeScalars.contains(where: isSpecial) else { return json }
    var text = ""
    for scalar in json.unicodeScalars {
      if isSpecial(scalar) {
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }

  /// Whether the string can stand without quotes and still be read back as the same string.
  private func isPlain(_ string: String) -> Bool {
    guard let first = string.utf8.first, let last = string.utf8.last else { return false }
    let leading: Set<UInt8> = Set("!&*-?:,[]{}#|>@`\"'%= ".utf8)
    guard
      !leading.contains(first) || first == 0x2D && string.utf8.count > 1 && string.utf8.dropFirst().first != 0x20 && !string.hasPrefix("--")
    else { return false }
    guard last != 0x20, last != 0x3A, string != "<<", !string.hasPrefix("...") else { return false }
    var previous: UInt8 = 0
    for byte in string.utf8 {
      guard byte >= 0x20, byte != 0x7F else { return false }
      if previous == 0x3A, byte == 0x20 { return false }
      if previous == 0x20, byte == 0x23 { return false }
      if byte == 0xC2 || byte == 0xE2 || byte == 0xEF { return false }  // Where line separators and byte order marks hide.
      previous = byte
    }
    guard case .string(string)? = try? YAMLScalar.resolve(string, plain: true, tag: nil) else { return false }
    return true
  }
}
