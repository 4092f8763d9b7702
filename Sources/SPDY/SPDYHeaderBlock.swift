/// The names and values that open a SPDY/3.1 stream, as the zlib stream that all such blocks of a connection form together.
///
/// A remote command opens five streams with one short header each, so nothing is gained by compression: the blocks are "stored".
/// That is valid zlib for every decoder, and spares the agent a zlib.
public struct SPDYHeaderBlock: Sendable {
  private var isFirst = true

  public init() {}

  /// - Parameter headers: Names in lower case; at most 64 KiB together.
  public mutating func encode(_ headers: [(name: String, value: String)]) -> [UInt8] {
    var plain: [UInt8] = []
    plain.append(bigEndian: UInt32(headers.count))
    for (name, value) in headers {
      for text in [name, value] {
        plain.append(bigEndian: UInt32(text.utf8.count))
        plain.append(contentsOf: text.utf8)
      }
    }
    var block: [UInt8] = isFirst ? [0x78, 0x01] : []
    isFirst = false
    let length = UInt16(truncatingIfNeeded: plain.count)
    block.append(0)
    for number in [length, ~length] {
      block.append(UInt8(truncatingIfNeeded: number))
      block.append(UInt8(truncatingIfNeeded: number >> 8))
    }
    block.append(contentsOf: plain)
    // An empty stored block makes the decoder hand out what it has.
    block.append(contentsOf: [0x00, 0x00, 0x00, 0xff, 0xff])
    return block
  }
}

extension [UInt8] {
  mutating func append(bigEndian number: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: number >> shift)) }
  }
}
