import NIOCore
import NIOHTTP1

/// Stands between the HTTP codec and whoever serves a connection. It ends connections that bring no request in time, answers what is
/// no HTTP, and takes the codec out when the connection leaves HTTP.
final class HTTPPartHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = ReceivedPart
  typealias OutboundIn = SentPart
  typealias OutboundOut = HTTPServerResponsePart

  typealias Decoder = ByteToMessageHandler<HTTPRequestDecoder>

  /// How long a peer that got an error may take to read it.
  private static let farewell = TimeAmount.seconds(2)

  private let decoder: Decoder
  private let encoder: HTTPResponseEncoder
  private let requestTimeout: TimeAmount
  private var deadline: Scheduled<Void>?
  /// Requests that came whole and whose answers have not ended.
  private var unanswered = 0
  private var isBroken = false
  /// The end of the last answer.
  private var lastWrite: EventLoopFuture<Void>?

  init(decoder: Decoder, encoder: HTTPResponseEncoder, requestTimeout: TimeAmount) {
    self.decoder = decoder
    self.encoder = encoder
    self.requestTimeout = requestTimeout
  }

  func handlerAdded(context: ChannelHandlerContext) { expectRequest(context) }

  func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

  private func expectRequest(_ context: ChannelHandlerContext) {
    let channel = context.channel
    deadline?.cancel()
    deadline = context.eventLoop.scheduleTask(in: requestTimeout) { channel.close(promise: nil) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isBroken else { return }
    switch unwrapInboundIn(data) {
    case .head(let head): context.fireChannelRead(wrapInboundOut(.head(head)))
    case .body(let buffer): context.fireChannelRead(wrapInboundOut(.body(buffer)))
    case .end:
      unanswered += 1
      deadline?.cancel()
      context.fireChannelRead(wrapInboundOut(.end))
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head): context.write(wrapOutboundOut(.head(head)), promise: promise)
    case .body(let buffer): context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
    case .end:
      let promise = promise ?? context.eventLoop.makePromise()
      lastWrite = promise.futureResult
      context.write(wrapOutboundOut(.end(nil)), promise: promise)
      unanswered -= 1
      expectRequest(context)
    case .leaveHTTP: leaveHTTP(context, promise)
    case .report(let event): event.happen(after: lastWrite, promise)
    case .bytes, .endOfOutput, .speakWebSocket, .message, .endOfMessages: promise?.fail(ChannelError.operationUnsupported)
    }
  }

  private func leaveHTTP(_ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    deadline?.cancel()
    let pipeline = context.pipeline.syncOperations
    do {
      // What the decoder still holds goes to whoever stands behind it, so it is the last to leave.
      try pipeline.addHandler(BytePartHandler(), position: .after(self))
      _ = pipeline.removeHandler(self)
      let encoderLeft = pipeline.removeHandler(encoder)
      // The reader gets what was passed on at the end of a read only, and the peer may say no more.
      let channel = context.channel
      let decoderLeft = pipeline.removeHandler(decoder).map { channel.pipeline.fireChannelReadComplete() }
      if let promise { encoderLeft.and(decoderLeft).map { _ in }.cascade(to: promise) }
    } catch {
      promise?.fail(error)
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard !isBroken else { return }
    isBroken = true
    // An answer to one request must not be taken for that to the one before. Whoever reads a body that breaks off sees the end.
    guard let error = error as? HTTPParserError, unanswered == 0 else { return context.close(promise: nil) }
    let status: HTTPResponseStatus = error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest
    let text = ByteBuffer(string: status == .badRequest ? "this is no HTTP/1.1 request\n" : "the request's head is too large\n")
    let headers: HTTPHeaders = [
      "Content-Type": "text/plain; charset=utf-8", "Content-Length": String(text.readableBytes), "Connection": "close",
    ]
    context.write(wrapOutboundOut(.head(.init(version: .http1_1, status: status, headers: headers))), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(text))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    // Closed at once, with bytes of the peer unread, the system might take the answer back.
    let channel = context.channel
    deadline?.cancel()
    deadline = context.eventLoop.scheduleTask(in: Self.farewell) { channel.close(promise: nil) }
  }
}

/// Bytes in both directions, for a connection that has left HTTP or never spoke it.
final class BytePartHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ReceivedPart
  typealias OutboundIn = SentPart
  typealias OutboundOut = ByteBuffer

  private var lastWrite: EventLoopFuture<Void>?

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    context.fireChannelRead(wrapInboundOut(.bytes(unwrapInboundIn(data))))
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .bytes(let buffer):
      let promise = promise ?? context.eventLoop.makePromise()
      lastWrite = promise.futureResult
      context.write(wrapOutboundOut(buffer), promise: promise)
    case .endOfOutput:
      context.flush()
      let channel = context.channel
      let written = lastWrite ?? context.eventLoop.makeSucceededVoidFuture()
      let closed = written.flatMap { channel.close(mode: .output) }
      if let promise { closed.cascade(to: promise) }
    case .report(let event): event.happen(after: lastWrite, promise)
    case .speakWebSocket(let head):
      do {
        // The peer's first message may follow the head at once.
        let pipeline = context.pipeline.syncOperations
        try WebSocketPartHandler.add(to: pipeline, after: self)
        context.writeAndFlush(wrapOutboundOut(head), promise: promise)
        _ = pipeline.removeHandler(self)
      } catch {
        promise?.fail(error)
        context.close(promise: nil)
      }
    case .head, .body, .end, .leaveHTTP, .message, .endOfMessages: promise?.fail(ChannelError.operationUnsupported)
    }
  }
}

extension OneTimeEvent {
  /// Happens when a write has succeeded or failed.
  func happen(after write: EventLoopFuture<Void>?, _ promise: EventLoopPromise<Void>?) {
    if let write { write.whenComplete { _ in self.happen() } } else { happen() }
    promise?.succeed()
  }
}

/// Takes note of what happens to a connection.
final class ConnectionEventsHandler: ChannelInboundHandler {
  typealias InboundIn = ReceivedPart

  private let events: ConnectionEvents

  init(_ events: ConnectionEvents) { self.events = events }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .inputClosed = event as? ChannelEvent { events.inputEnd.happen() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    events.inputEnd.happen()
    events.close.happen()
    context.fireChannelInactive()
  }
}
