/// Messages on the wire: one byte that tells whether the message is compressed, four of length, and the message.
struct GRPCFrames {
  private let limit: Int
  private var buffer: [UInt8] = []
  /// Where the next frame starts in `buffer`.
  private var start = 0

  /// - Parameter limit: the largest message in bytes.
  init(limit: Int) {
    self.limit = limit
  }

  static func encode(_ message: [UInt8]) -> [UInt8] {
    let length = UInt32(message.count)
    var frame: [UInt8] = []
    frame.reserveCapacity(5 + message.count)
    frame.append(0)
    for shift in [24, 16, 8, 0] { frame.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
    frame.append(contentsOf: message)
    return frame
  }

  mutating func append(_ chunk: [UInt8]) {
    if start == buffer.count {
      buffer = chunk
      start = 0
      return
    }
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    buffer.append(contentsOf: chunk)
  }

  /// The next complete message; nil until more bytes have come.
  mutating func next() throws -> [UInt8]? {
    guard buffer.count - start >= 5 else { return nil }
    guard buffer[start] == 0 else { throw GRPCError(.internalError, "the message is compressed, though no compression was offered") }
    var length = 0
    for byte in buffer[(start + 1)..<(start + 5)] { length = length << 8 | Int(byte) }
    guard length <= limit else {
      throw GRPCError(.resourceExhausted, "a message of \(length) bytes is larger than the allowed \(limit)")
    }
    guard buffer.count - start - 5 >= length else { return nil }
    let message = Array(buffer[(start + 5)..<(start + 5 + length)])
    start += 5 + length
    return message
  }

  /// Whether a frame began and didn't end.
  var isIncomplete: Bool { start < buffer.count }
}
