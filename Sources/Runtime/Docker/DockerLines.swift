/// Splits a stream of JSON objects, one a line, as they arrive in pieces of any size.
struct DockerLines: Sendable {
  struct TooLong: Error, CustomStringConvertible {
    var description: String { "the engine sent a line of more than \(DockerLines.limit) bytes" }
  }

  static let limit = 4 << 20
  private var partial: [UInt8] = []

  /// The lines that end in `bytes`, empty ones left out.
  mutating func split(_ bytes: [UInt8]) throws -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 0x0A) {
      partial += rest[..<end]
      if partial.last == 0x0D { partial.removeLast() }
      if !partial.isEmpty { lines.append(partial) }
      partial = []
      rest = rest[(end + 1)...]
    }
    partial += rest
    guard partial.count <= Self.limit else { throw TooLong() }
    return lines
  }

  /// What is left when the stream has ended.
  var last: [UInt8]? { partial.isEmpty ? nil : partial }
}
