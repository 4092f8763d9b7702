import NIOCore
import NIOHPACK
import NIOHTTP2

/// The server's side of one call: an HTTP/2 stream.
final class GRPCCall: ChannelInboundHandler {
  typealias InboundIn = HTTP2Frame.FramePayload
  typealias OutboundOut = HTTP2Frame.FramePayload

  private let methods: [String: GRPCServer.Method]
  private let limits: GRPCServer.Limits
  private var method: GRPCServer.Method?
  private var request: [UInt8] = []
  private var isAnswered = false
  private var call: Task<Void, Never>?
  private var timer: Scheduled<Void>?

  init(methods: [String: GRPCServer.Method], limits: GRPCServer.Limits) {
    self.methods = methods
    self.limits = limits
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let handler = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(limits.timeout / .nanoseconds(1)))) {
      let (call, context) = handler.value
      call.refuse(GRPCError(.deadlineExceeded, "the call took longer than \(call.limits.timeout)"), context)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .headers(let frame):
      begin(frame.headers, context)
      if frame.endStream { end(context) }
    case .data(let frame):
      guard !isAnswered, case .byteBuffer(let buffer) = frame.data else { return }
      guard request.count + buffer.readableBytes <= limits.message + 5 else {
        return refuse(GRPCError(.resourceExhausted, "the request is larger than \(limits.message) bytes"), context)
      }
      request.append(contentsOf: buffer.readableBytesView)
      if frame.endStream { end(context) }
    default: break
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    isAnswered = true
    timer?.cancel()
    call?.cancel()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func begin(_ headers: HPACKHeaders, _ context: ChannelHandlerContext) {
    // Trailers of a client say nothing.
    guard method == nil, !isAnswered else { return }
    let path = headers.first(name: ":path") ?? ""
    guard headers.first(name: ":method") == "POST", headers.first(name: "content-type")?.hasPrefix("application/grpc") == true else {
      return write(HPACKHeaders([(":status", "415")]), ends: true, context)
    }
    guard let method = methods[path] else { return refuse(GRPCError(.unimplemented, "unknown method \(path.prefix(256))"), context) }
    self.method = method
  }

  private func end(_ context: ChannelHandlerContext) {
    guard let method, !isAnswered, call == nil else { return }
    let message: [UInt8]
    do {
      var frames = GRPCFrames(limit: limits.message)
      frames.append(request)
      guard let first = try frames.next(), !frames.isIncomplete else {
        throw GRPCError(.internalError, "a request must be one whole message")
      }
      message = first
    } catch {
      return refuse(error, context)
    }
    request = []
    let handler = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let loop = context.eventLoop
    call = Task {
      let result: Result<[UInt8], any Error>
      do { result = .success(try await method(message)) } catch { result = .failure(error) }
      loop.execute {
        let (call, context) = handler.value
        switch result {
        case .success(let reply): call.answer(reply, context)
        case .failure(let error): call.refuse(error, context)
        }
      }
    }
  }

  private func answer(_ reply: [UInt8], _ context: ChannelHandlerContext) {
    guard !isAnswered else { return }
    write(HPACKHeaders([(":status", "200"), ("content-type", "application/grpc")]), ends: false, context)
    let buffer = context.channel.allocator.buffer(bytes: GRPCFrames.encode(reply))
    context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(buffer)))), promise: nil)
    write(HPACKHeaders([("grpc-status", "0")]), ends: true, context)
  }

  private func refuse(_ error: any Error, _ context: ChannelHandlerContext) {
    guard !isAnswered else { return }
    call?.cancel()
    let status = error as? GRPCError ?? GRPCError(.unknown, "\(error)")
    write(
      HPACKHeaders([
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", String(status.code.rawValue)),
        ("grpc-message", GRPCStatus.percentEncoded(status.message)),
      ]), ends: true, context)
  }

  private func write(_ headers: HPACKHeaders, ends: Bool, _ context: ChannelHandlerContext) {
    if ends {
      isAnswered = true
      timer?.cancel()
    }
    context.writeAndFlush(wrapOutboundOut(.headers(.init(headers: headers, endStream: ends))), promise: nil)
  }
}
