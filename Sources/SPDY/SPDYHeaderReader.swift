/// Reads the names and values that open SPDY/3.1 streams. One for each connection, since all blocks form one compressed text.
public struct SPDYHeaderReader: Sendable {
  /// Bytes of one block's plain text.
  private static let limit = 32 << 10

  private var text = ZlibText(dictionary: SPDYDictionary.bytes)

  public init() {}

  /// The headers of the next block; names are in lower case.
  public mutating func read(_ block: [UInt8]) throws(SPDYDecoder.ProtocolError) -> [String: String] {
    let plain: [UInt8]
    do throws(ZlibText.Malformed) {
      plain = try text.next(block, limit: Self.limit)
    } catch {
      throw SPDYDecoder.ProtocolError(description: "a stream's headers can't be read: \(error.problem)")
    }
    var rest = plain[...]
    var headers: [String: String] = [:]
    for _ in 0..<(try Self.number(&rest)) {
      let name = try Self.string(&rest)
      headers[name.lowercased()] = try Self.string(&rest)
    }
    return headers
  }

  private static func number(_ bytes: inout ArraySlice<UInt8>) throws(SPDYDecoder.ProtocolError) -> Int {
    guard bytes.count >= 4 else { throw SPDYDecoder.ProtocolError(description: "a stream's headers end too early") }
    let number = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    bytes = bytes.dropFirst(4)
    return number
  }

  private static func string(_ bytes: inout ArraySlice<UInt8>) throws(SPDYDecoder.ProtocolError) -> String {
    let count = try number(&bytes)
    guard count <= bytes.count else { throw SPDYDecoder.ProtocolError(description: "a stream's headers end too early") }
    defer { bytes = bytes.dropFirst(count) }
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
