/// `$(NAME)` in the environment, commands and arguments of containers.
///
/// `$$` is a dollar sign, so `$$(NAME)` stays `$(NAME)`; a reference without an end, and a dollar sign before anything else,
/// stay as they are.
enum VariableExpansion {
  /// Replaces references by their values; one without a value stays literally.
  static func expand(_ text: String, _ value: (String) -> String?) -> String {
    replace(text) { value($0) ?? "$(\($0))" }
  }

  /// Replaces references by their values, and names those that have none or an empty one.
  /// - Returns: The names sorted, each once.
  static func expandReporting(_ text: String, _ value: (String) -> String?) -> (text: String, missing: [String]) {
    var missing: Set<String> = []
    let expanded = replace(text) { name in
      let value = value(name) ?? ""
      if value.isEmpty { missing.insert(name) }
      return value
    }
    return (expanded, missing.sorted())
  }

  private static func replace(_ text: String, _ value: (String) -> String) -> String {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
    var output: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "$"), let next = rest.first else {
        output.append(byte)
        continue
      }
      rest.removeFirst()
      switch next {
      case UInt8(ascii: "$"):
        output.append(next)
      case UInt8(ascii: "("):
        if let end = rest.firstIndex(of: UInt8(ascii: ")")) {
          output += Array(value(String(decoding: rest[..<end], as: UTF8.self)).utf8)
          rest = rest[(end + 1)...]
        } else {
          output += [byte, next]
        }
      default:
        output += [byte, next]
      }
    }
    return String(decoding: output, as: UTF8.self)
  }
}
