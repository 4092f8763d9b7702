import Core
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOWebSocket

/// Where nodes connect.
enum WebSocketServer {
  private static let frameLimit = 1 << 30

  /// Sets a connection up: HTTP until the upgrade, then messages.
  static func setUp(_ channel: any Channel, core: CloudCore) throws {
    let refusal = WebSocketRefusal()
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: frameLimit,
      shouldUpgrade: { channel, head in
        channel.eventLoop.makeSucceededFuture(WebSocketRefusal.refusal(of: head) == nil ? HTTPHeaders() : nil)
      },
      upgradePipelineHandler: { channel, head in
        channel.eventLoop.makeCompletedFuture { try start(channel, head, core) }
      })
    let removal = NIOLoopBound(refusal, eventLoop: channel.eventLoop)
    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
      withServerUpgrade: (
        upgraders: [upgrader], completionHandler: { $0.pipeline.syncOperations.removeHandler(removal.value, promise: nil) }
      ))
    try channel.pipeline.syncOperations.addHandler(refusal)
  }

  private static func start(_ channel: any Channel, _ head: HTTPRequestHead, _ core: CloudCore) throws {
    let node = head.headers.first(name: "node_id") ?? ""
    var isServed = true
    if core.configuration.checksNodeNames {
      let peer = try channel.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes() ?? []
      isServed = core.authority.accepts(clientCertificate: peer, ofNode: node)
    }
    let session = NodeSession(
      node: node, isServed: isServed, channel: channel, configuration: core.configuration, transcript: core.transcript,
      faults: core.faults, onAck: { core.acknowledged($0) })
    // Of a connection for another use nothing is ever read.
    let isRead = head.headers.first(name: "ConnectionUse") == "msg"
    try channel.pipeline.syncOperations.addHandler(
      WebSocketHandler(
        onText: { text in !isRead || core.received(text, from: session) }, onEnd: { core.disconnected(session) }))
    core.connected(session)
  }
}

/// Answers requests that don't become websockets.
final class WebSocketRefusal: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private var head: HTTPRequestHead?

  /// Why Go's HTTP server and its websocket library would not upgrade; nil if they would.
  static func refusal(of head: HTTPRequestHead) -> (status: Int, location: String?)? {
    let path = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0]
    if path.contains("//") {
      return (301, "/" + path.split(separator: "/").joined(separator: "/"))
    }
    if let origin = head.headers.first(name: "Origin"), let host = head.headers.first(name: "Host") {
      let named = origin.split(separator: "/", omittingEmptySubsequences: false).dropFirst(2).first.map(String.init) ?? ""
      if named.lowercased() != host.lowercased() { return (403, nil) }
    }
    return nil
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body: break
    case .end:
      guard let head else { return }
      let refusal = Self.refusal(of: head) ?? (400, nil)
      let body = ByteBuffer(string: refusal.status == 400 ? "Bad Request\n" : "")
      var response = HTTPResponseHead(version: head.version, status: .init(statusCode: refusal.status))
      if let location = refusal.location { response.headers.add(name: "Location", value: location) }
      response.headers.add(name: "Content-Length", value: String(body.readableBytes))
      response.headers.add(name: "Connection", value: "close")
      context.write(wrapOutboundOut(.head(response)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
