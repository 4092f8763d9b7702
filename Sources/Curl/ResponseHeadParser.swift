/// Status and header lines, the trailers behind a body, and the 1xx heads in front that nobody wants.
struct ResponseHeadParser {
  struct Head: Sendable {
    var status: Int
    var headers: [HTTPField]
  }

  /// Set once the blank line behind the final head has come.
  private(set) var head: Head?
  private(set) var trailers: [HTTPField] = []
  private var status = 0
  private var fields: [HTTPField] = []
  /// 101 ends a head only where an upgrade was asked for.
  private let acceptsSwitchingProtocols: Bool

  init(acceptsSwitchingProtocols: Bool = false) { self.acceptsSwitchingProtocols = acceptsSwitchingProtocols }

  /// One line, with or without its line end.
  mutating func take(line bytes: UnsafeRawBufferPointer) {
    var end = bytes.count
    while end > 0 && (bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D) { end -= 1 }
    let line = UnsafeRawBufferPointer(rebasing: bytes[..<end])
    if head != nil {
      if let field = Self.field(line) { trailers.append(field) }
    } else if line.starts(with: "HTTP/".utf8) {
      status = Self.status(line)
      fields.removeAll(keepingCapacity: true)
    } else if line.isEmpty {
      if status >= 200 || (status == 101 && acceptsSwitchingProtocols) {
        head = Head(status: status, headers: fields)
        fields = []
      }
    } else if line[0] == 0x20 || line[0] == 0x09 {
      // A folded line carries on the field before it.
      if let last = fields.indices.last { fields[last].value += " " + Self.trimmed(line) }
    } else if let field = Self.field(line) {
      fields.append(field)
    }
  }

  /// 0 when there is no number.
  private static func status(_ line: UnsafeRawBufferPointer) -> Int {
    guard let space = line.firstIndex(of: 0x20) else { return 0 }
    var value = 0
    for byte in line[(space + 1)...].prefix(3) {
      guard byte >= 0x30 && byte <= 0x39 else { return 0 }
      value = value * 10 + Int(byte - 0x30)
    }
    return value
  }

  private static func field(_ line: UnsafeRawBufferPointer) -> HTTPField? {
    guard let colon = line.firstIndex(of: 0x3A), colon > 0 else { return nil }
    return HTTPField(
      String(decoding: line[..<colon], as: UTF8.self), trimmed(UnsafeRawBufferPointer(rebasing: line[(colon + 1)...])))
  }

  private static func trimmed(_ bytes: UnsafeRawBufferPointer) -> String {
    var start = 0
    var end = bytes.count
    while start < end && (bytes[start] == 0x20 || bytes[start] == 0x09) { start += 1 }
    while end > start && (bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09) { end -= 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }
}
