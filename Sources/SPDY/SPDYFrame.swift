/// The frames of SPDY/3.1 that carry remote commands and forwarded ports.
public enum SPDYFrame {
  /// Largest piece of data that a sender should put into one frame.
  public static let dataLimit = 32 << 10

  private enum Kind: UInt16 {
    case open = 1
    case reply = 2
    case reset = 3
    case ping = 6
    case goAway = 7
  }

  /// Why a stream ends early.
  public enum ResetReason: UInt32, Sendable {
    case protocolError = 1
    case refused = 3
    case cancelled = 5
  }

  /// Opens a stream; a client's streams have odd numbers that ascend.
  public static func open(stream: UInt32, headerBlock: [UInt8]) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: stream)
    // No associated stream, highest priority, no credential slot.
    body.append(contentsOf: [0, 0, 0, 0, 0, 0])
    body.append(contentsOf: headerBlock)
    return control(.open, body)
  }

  /// Accepts a stream that the peer opened.
  public static func reply(stream: UInt32, headerBlock: [UInt8]) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: stream)
    body.append(contentsOf: headerBlock)
    return control(.reply, body)
  }

  /// - Parameter isLast: Ends our side of the stream.
  public static func data(stream: UInt32, _ bytes: some Collection<UInt8>, isLast: Bool = false) -> [UInt8] {
    var frame: [UInt8] = []
    frame.reserveCapacity(8 + bytes.count)
    frame.append(bigEndian: stream)
    frame.append(bigEndian: (isLast ? 1 : 0) << 24 | UInt32(bytes.count))
    frame.append(contentsOf: bytes)
    return frame
  }

  /// Ends both sides of a stream.
  public static func reset(stream: UInt32, _ reason: ResetReason) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: stream)
    body.append(bigEndian: reason.rawValue)
    return control(.reset, body)
  }

  /// A ping, or the answer to one: the same number comes back.
  public static func ping(id: UInt32) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: id)
    return control(.ping, body)
  }

  /// Says that no more streams are taken.
  public static func goAway(lastStream: UInt32) -> [UInt8] {
    var body: [UInt8] = []
    body.append(bigEndian: lastStream)
    body.append(bigEndian: 0)
    return control(.goAway, body)
  }

  private static func control(_ kind: Kind, _ body: [UInt8]) -> [UInt8] {
    var frame: [UInt8] = []
    frame.reserveCapacity(8 + body.count)
    frame.append(bigEndian: 0x8003_0000 | UInt32(kind.rawValue))
    frame.append(bigEndian: UInt32(body.count))
    frame.append(contentsOf: body)
    return frame
  }
}
