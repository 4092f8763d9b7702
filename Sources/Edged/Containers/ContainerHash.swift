import KubernetesAPI

/// The fingerprint of a container's definition, kept as an annotation: a running container whose fingerprint differs from the
/// wished one's is restarted. It has to be kubelet's to the last bit, or adopted containers would all restart.
enum ContainerHash {
  /// FNV-1a, 32 bits, lower-case hex without leading zeros, of Go's way to print the bytes of Go's JSON of name and image.
  static func hash(of container: Container) -> String {
    let json = "{\"image\":\(quote(container.image ?? "")),\"name\":\(quote(container.name))}"
    let text = "([]uint8)[" + json.utf8.map { String($0) }.joined(separator: " ") + "]"
    var hash: UInt32 = 2_166_136_261
    for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    return String(hash, radix: 16)
  }

  /// A JSON string as Go writes it: safe within HTML.
  private static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case "\u{08}": quoted += "\\b"
      case "\u{0C}": quoted += "\\f"
      case "<", ">", "&", "\u{2028}", "\u{2029}",
        _ where scalar.value < 0x20:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
