import NIOCore
import NIOWebSocket

/// Puts messages together from frames.
struct MessageAssembly {
  let limit: Int
  /// The first part of a message whose last one has not come.
  private var begun: ByteBuffer?

  init(limit: Int) { self.limit = limit }

  /// Takes a text, binary or continuation frame.
  ///
  /// - Returns: the message that is complete with it.
  /// - Throws: `ConnectionError.messageTooLarge`, `.protocolViolation`.
  mutating func add(_ frame: WebSocketFrame) throws(ConnectionError) -> [UInt8]? {
    var data = frame.unmaskedData
    guard frame.reservedBits.isEmpty else { throw .protocolViolation("a frame with an extension that nobody asked for") }
    switch (frame.opcode, begun) {
    case (.continuation, nil): throw .protocolViolation("a continuation of nothing")
    case (.continuation, var buffer?):
      begun = nil
      guard buffer.readableBytes + data.readableBytes <= limit else { throw .messageTooLarge(limit: limit) }
      // Big messages come as one frame with everything and an empty last one.
      if data.readableBytes > 0 { buffer.writeBuffer(&data) }
      data = buffer
    case (.text, nil), (.binary, nil): break
    case (.text, _), (.binary, _): throw .protocolViolation("a message inside another")
    default: throw .protocolViolation("a frame of the unknown kind \(frame.opcode)")
    }
    guard data.readableBytes <= limit else { throw .messageTooLarge(limit: limit) }
    guard frame.fin else {
      begun = data
      return nil
    }
    return Array(data.readableBytesView)
  }
}
