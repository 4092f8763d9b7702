import Crypto
import FoundationEssentials

/// PEM texts, as far as the node's files need them.
enum PEM {
  /// The first block whose label ends with `label`, with its first and last line; nil if there is none.
  static func block(_ label: String, in bytes: [UInt8]) -> String? {
    var lines: [Substring] = []
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      let line = Substring(line.filter { $0 != "\r" })
      if line.hasPrefix("-----BEGIN "), line.hasSuffix("\(label)-----") { lines = [line] } else if !lines.isEmpty { lines.append(line) }
      if line.hasPrefix("-----END "), !lines.isEmpty { return lines.joined(separator: "\n") + "\n" }
    }
    return nil
  }

  /// The key as SEC1 (`EC PRIVATE KEY`): what KubeEdge's own tools read.
  static func sec1(_ key: P256.Signing.PrivateKey) -> String {
    // ECPrivateKey of RFC 5915: version 1, the key's 32 bytes, [0] the curve's name, [1] the public point.
    var der: [UInt8] = [0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20]
    der += key.rawRepresentation
    der += [0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0xA1, 0x44, 0x03, 0x42, 0x00]
    der += key.publicKey.x963Representation
    let base64 = Data(der).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
    return "-----BEGIN EC PRIVATE KEY-----\n\(base64)\n-----END EC PRIVATE KEY-----\n"
  }
}
