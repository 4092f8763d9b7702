import NIOCore
import NIOWebSocket

/// Puts a websocket's frames together to texts, and cuts texts into frames as Go does.
final class WebSocketHandler: ChannelDuplexHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = WebSocketFrame

  private var text = ByteBuffer()
  /// - Returns: false to end the connection.
  private let onText: ([UInt8]) -> Bool
  /// - Returns: false to leave it unanswered.
  private let onPing: (ByteBuffer) -> Bool
  private let onEnd: () -> Void
  private let takesOnlyTexts: Bool

  /// - Parameter takesOnlyTexts: whether a binary message ends the connection.
  init(
    takesOnlyTexts: Bool = false, onText: @escaping ([UInt8]) -> Bool, onPing: @escaping (ByteBuffer) -> Bool = { _ in true },
    onEnd: @escaping () -> Void
  ) {
    self.takesOnlyTexts = takesOnlyTexts
    self.onText = onText
    self.onPing = onPing
    self.onEnd = onEnd
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    var payload = frame.unmaskedData
    switch frame.opcode {
    case .text, .binary, .continuation:
      if takesOnlyTexts, frame.opcode == .binary {
        context.close(promise: nil)
        return
      }
      if frame.opcode != .continuation { text.clear() }
      text.writeBuffer(&payload)
      guard frame.fin else { return }
      if !onText(Array(text.readableBytesView)) { context.close(promise: nil) }
      text = ByteBuffer()
    case .ping:
      guard onPing(payload) else { return }
      context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: payload)), promise: nil)
    case .connectionClose:
      context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: payload)), promise: nil)
      context.close(promise: nil)
    default: break
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let frames = GoWire.frames(unwrapOutboundIn(data))
    for frame in frames.dropLast() { context.write(wrapOutboundOut(frame), promise: nil) }
    if let last = frames.last { context.write(wrapOutboundOut(last), promise: promise) }
  }

  func channelInactive(context: ChannelHandlerContext) {
    onEnd()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
