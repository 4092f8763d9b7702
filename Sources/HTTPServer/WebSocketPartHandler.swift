import NIOCore
import NIOWebSocket

/// Messages in both directions, for a connection that speaks WebSocket (RFC 6455). Pings are answered here, and so is the peer's close.
final class WebSocketPartHandler: ChannelDuplexHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = ReceivedPart
  typealias OutboundIn = SentPart
  typealias OutboundOut = WebSocketFrame

  /// Bytes of a message.
  private static let limit = 4 << 20

  private var lastWrite: EventLoopFuture<Void>?
  private var peerHasClosed = false
  private var hasSaidGoodbye = false

  /// Adds it with the codec that it needs.
  static func add(to pipeline: ChannelPipeline.SynchronousOperations, after bytes: BytePartHandler) throws {
    let aggregator = NIOWebSocketFrameAggregator(
      minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 1024, maxAccumulatedFrameSize: limit)
    try pipeline.addHandlers(
      WebSocketFrameEncoder(), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: limit)), aggregator, WebSocketPartHandler(),
      position: .after(bytes))
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !peerHasClosed else { return }
    let frame = unwrapInboundIn(data)
    switch frame.opcode {
    case .text, .binary:
      context.fireChannelRead(
        wrapInboundOut(.message(WebSocketMessage(isText: frame.opcode == .text, bytes: Array(frame.unmaskedData.readableBytesView)))))
    case .ping: send(.pong, frame.unmaskedData, context, nil)
    case .connectionClose:
      peerHasClosed = true
      let channel = context.channel
      guard !hasSaidGoodbye else { return channel.close(promise: nil) }
      let farewell = context.eventLoop.makePromise(of: Void.self)
      farewell.futureResult.whenComplete { _ in channel.close(promise: nil) }
      send(.connectionClose, frame.unmaskedData, context, farewell)
    default: break
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .message(let message):
      send(message.isText ? .text : .binary, ByteBuffer(bytes: message.bytes), context, promise)
    case .endOfMessages:
      hasSaidGoodbye = true
      // 1000: all went well.
      send(.connectionClose, ByteBuffer(integer: UInt16(1000)), context, promise)
    case .report(let event): event.happen(after: lastWrite, promise)
    case .head, .body, .end, .leaveHTTP, .bytes, .endOfOutput, .speakWebSocket: promise?.fail(ChannelError.operationUnsupported)
    }
  }

  private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    let promise = promise ?? context.eventLoop.makePromise()
    lastWrite = promise.futureResult
    context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, data: data)), promise: promise)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
