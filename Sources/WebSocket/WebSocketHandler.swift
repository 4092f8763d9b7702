import NIOCore
import NIOWebSocket

/// The last in a websocket's pipeline: answers pings, honours a close, hands messages over.
final class WebSocketHandler: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundOut = WebSocketFrame

  private let inbox: MessageInbox
  private let server: String
  private let onActivity: @Sendable () -> Void
  private var assembly: MessageAssembly
  private var isClosing = false

  init(inbox: MessageInbox, server: String, limit: Int, onActivity: @escaping @Sendable () -> Void) {
    self.inbox = inbox
    self.server = server
    self.onActivity = onActivity
    assembly = MessageAssembly(limit: limit)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    onActivity()
    guard !isClosing else { return }
    let frame = unwrapInboundIn(data)
    do throws(ConnectionError) {
      switch frame.opcode {
      case .ping:
        // Who doesn't read pongs gets none.
        guard context.channel.isWritable else { return }
        let pong = WebSocketFrame(fin: true, opcode: .pong, maskKey: .random(), data: frame.unmaskedData)
        context.writeAndFlush(wrapOutboundOut(pong), promise: nil)
      case .pong: break
      case .connectionClose: honour(frame, context)
      default: if let message = try assembly.add(frame) { inbox.put(message) }
      }
    } catch {
      inbox.end(error)
      if case .messageTooLarge = error { close(context, .messageTooLarge) } else { close(context, .protocolError) }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if inbox.isAwaited { context.read() }
    context.fireChannelReadComplete()
  }

  func channelInactive(context: ChannelHandlerContext) {
    inbox.end(.lost(problem: "the cloud ended it"))
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    inbox.end(ConnectionError(error, server: server, isOpen: true, limit: assembly.limit))
    guard !isClosing else { return }
    isClosing = true
    // For what the frames' decoder complains about, a handler before this one says so to the cloud and closes.
    if !(error is NIOWebSocketError) { context.close(promise: nil) }
  }

  private func honour(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
    var data = frame.unmaskedData
    let code = data.readWebSocketErrorCode()
    let reason = String(decoding: data.readableBytesView, as: UTF8.self)
    inbox.end(.closedByCloud(code: code.map { Int(UInt16(webSocketErrorCode: $0)) }, reason: reason))
    close(context, code ?? .normalClosure)
  }

  private func close(_ context: ChannelHandlerContext, _ code: WebSocketErrorCode) {
    isClosing = true
    var data = context.channel.allocator.buffer(capacity: 2)
    data.write(webSocketErrorCode: code)
    let frame = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data)
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    context.writeAndFlush(wrapOutboundOut(frame)).whenComplete { _ in bound.value.close(promise: nil) }
  }
}
