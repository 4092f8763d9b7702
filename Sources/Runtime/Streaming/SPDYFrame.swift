/// The frames of SPDY/3.1 that a remote command's client writes.
enum SPDYFrame {
  /// Largest piece of input in one frame.
  static let dataLimit = 32 << 10

  private static let synStream: UInt16 = 1
  private static let ping: UInt16 = 6

  static func open(stream: UInt32, headerBlock: [UInt8]) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: stream)
    // No associated stream, highest priority, no credential slot.
    body.append(contentsOf: [0, 0, 0, 0, 0, 0])
    body.append(contentsOf: headerBlock)
    return control(synStream, body)
  }

  /// - Parameter isLast: Ends our side of the stream.
  static func data(stream: UInt32, _ bytes: some Collection<UInt8>, isLast: Bool = false) -> [UInt8] {
    var frame: [UInt8] = []
    frame.reserveCapacity(8 + bytes.count)
    frame.append(bigEndian: stream)
    frame.append(bigEndian: (isLast ? 1 : 0) << 24 | UInt32(bytes.count))
    frame.append(contentsOf: bytes)
    return frame
  }

  static func pong(id: UInt32) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: id)
    return control(ping, body)
  }

  private static func control(_ type: UInt16, _ body: [UInt8]) -> [UInt8] {
    var frame: [UInt8] = []
    frame.reserveCapacity(8 + body.count)
    frame.append(bigEndian: 0x8003_0000 | UInt32(type))
    frame.append(bigEndian: UInt32(body.count))
    frame.append(contentsOf: body)
    return frame
  }
}
