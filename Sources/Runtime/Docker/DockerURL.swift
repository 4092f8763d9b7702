/// The target of a request: a path and its query, percent-encoded.
enum DockerURL {
  static func target(_ path: String, _ query: [(String, String)]) -> String {
    let encoded = encode(path, keeping: pathBytes)
    guard !query.isEmpty else { return encoded }
    return encoded + "?" + query.map { "\($0.0)=\(encode($0.1, keeping: unreserved))" }.joined(separator: "&")
  }

  private static let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
  private static let pathBytes = unreserved.union("/:@".utf8)
  private static let hex = Array("0123456789ABCDEF".utf8)

  private static func encode(_ text: String, keeping kept: Set<UInt8>) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if kept.contains(byte) { bytes.append(byte) } else { bytes += [0x25, hex[Int(byte >> 4)], hex[Int(byte & 15)]] }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
