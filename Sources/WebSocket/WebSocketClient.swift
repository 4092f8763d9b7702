import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Synchronization

/// Makes websockets to the cloud: TCP, TLS with certificates on both sides, HTTP's upgrade.
public struct WebSocketClient: Sendable {
  public let server: ServerAddress
  private let path: String
  private let headers: HTTPHeaders
  private let handshakeTimeout: Int
  private let writeDeadline: Int
  private let messageLimit: Int
  private let checksServerName: Bool
  private let unsentLimit: Int?
  private let group: any EventLoopGroup

  /// - Parameters:
  ///   - path: of the request for the websocket.
  ///   - headers: of that request, beyond those that make a websocket.
  ///   - handshakeTimeout: seconds for everything until the websocket is open.
  ///   - writeDeadline: seconds that the cloud may take to accept a message.
  ///   - messageLimit: of a message from the cloud, bytes.
  ///   - checksServerName: whether the cloud's certificate has to be for the host of `server`; it has to be of the CA in any case.
  ///   - unsentLimit: bytes that the system takes beyond what is under way to the cloud; nil is the system's own limit. With a small
  ///     one a slow line doesn't keep a ping waiting behind megabytes.
  public init(
    server: ServerAddress, path: String, headers: [(String, String)], handshakeTimeout: Int, writeDeadline: Int, messageLimit: Int,
    checksServerName: Bool = true, unsentLimit: Int? = nil, group: any EventLoopGroup
  ) {
    self.server = server
    self.path = path
    self.headers = HTTPHeaders(headers)
    self.handshakeTimeout = handshakeTimeout
    self.writeDeadline = writeDeadline
    self.messageLimit = messageLimit
    self.checksServerName = checksServerName
    self.unsentLimit = unsentLimit
    self.group = group
  }

  private enum Outcome: Sendable {
    case connection(WebSocketConnection)
    case refused(EventLoopFuture<ConnectionError>)
  }

  /// What there is to close when the one who wants a connection gives up.
  private final class Attempt: Sendable {
    private let state = Mutex<(channel: (any Channel)?, isCancelled: Bool)>((nil, false))

    func hold(_ channel: any Channel) throws {
      try state.withLock { state in
        if state.isCancelled { throw CancellationError() }
        state.channel = channel
      }
    }

    func cancel() {
      state.withLock { state in
        state.isCancelled = true
        return state.channel
      }?.close(promise: nil)
    }
  }

  /// Opens a websocket.
  ///
  /// - Parameter onActivity: called on the event loop for each frame that comes.
  /// - Throws: `ConnectionError`, `CancellationError`.
  public func connect(
    _ credentials: ClientCredentials, onActivity: @escaping @Sendable () -> Void
  ) async throws -> WebSocketConnection {
    let context = try context(credentials)
    let attempt = Attempt()
    let eventLoop = group.next()
    let promise = eventLoop.makePromise(of: Outcome.self)
    let timer = eventLoop.scheduleTask(in: .seconds(Int64(handshakeTimeout))) { [server, handshakeTimeout] in
      promise.fail(ConnectionError.handshakeTimeout(server: "\(server)", seconds: handshakeTimeout))
      attempt.cancel()
    }
    defer { timer.cancel() }
    ClientBootstrap(group: eventLoop).connectTimeout(.seconds(Int64(handshakeTimeout)))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try attempt.hold(channel)
          if let unsentLimit {
            // Older kernels may lack it; then a ping waits longer.
            try? channel.syncOptions?.setOption(.tcpOption(Self.unsentLimitOption), value: .init(unsentLimit))
          }
          try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: server.name))
          let upgrade = try upgrade(channel, onActivity: onActivity)
          upgrade.cascade(to: promise)
        }
      }
      .connect(host: server.host, port: server.port).cascadeFailure(to: promise)
    do {
      return try await withTaskCancellationHandler {
        switch try await promise.futureResult.get() {
        case .connection(let connection): return connection
        case .refused(let error): throw try await error.get()
        }
      } onCancel: {
        promise.fail(CancellationError())
        attempt.cancel()
      }
    } catch {
      attempt.cancel()
      if error is CancellationError { throw error }
      throw ConnectionError(problem(error), server: "\(server)", isOpen: false, limit: messageLimit)
    }
  }

  /// Linux's TCP_NOTSENT_LOWAT, which Glibc's module lacks.
  private static let unsentLimitOption = NIOBSDSocket.Option(rawValue: 25)

  /// The words of what went wrong before anything was connected.
  private func problem(_ error: any Error) -> any Error {
    guard let error = error as? NIOConnectionError else { return error }
    if let first = error.connectionErrors.first {
      return ConnectionError.unreachable(server: "\(server)", problem: ConnectionError.words(first.error))
    }
    if let lookup = error.dnsAError ?? error.dnsAAAAError {
      return ConnectionError.unreachable(server: "\(server)", problem: "the name can't be resolved: \(ConnectionError.words(lookup))")
    }
    return error
  }

  private func context(_ credentials: ClientCredentials) throws -> NIOSSLContext {
    do {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.minimumTLSVersion = .tlsv12
      configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(credentials.ca.utf8)))
      configuration.certificateVerification = checksServerName ? .fullVerification : .noHostnameVerification
      configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificate.utf8)).map { .certificate($0) }
      configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(credentials.key.utf8), format: .pem))
      // A mute peer must not hold up the next connection.
      configuration.shutdownTimeout = .seconds(1)
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw ConnectionError.tls(server: "\(server)", problem: "the node's certificate or key can't be used: \(error)")
    }
  }

  private func upgrade(_ channel: any Channel, onActivity: @escaping @Sendable () -> Void) throws -> EventLoopFuture<Outcome> {
    let limit = messageLimit
    let upgrader = NIOTypedWebSocketClientUpgrader<Outcome>(maxFrameSize: limit) { [server, writeDeadline] channel, _ in
      channel.eventLoop.makeCompletedFuture {
        // From here on it is read when somebody waits for a message.
        try channel.syncOptions?.setOption(.autoRead, value: false)
        let inbox = MessageInbox()
        try channel.pipeline.syncOperations.addHandler(
          WebSocketHandler(inbox: inbox, server: "\(server)", limit: limit, onActivity: onActivity))
        return .connection(WebSocketConnection(channel: channel, inbox: inbox, writeDeadline: writeDeadline))
      }
    }
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
    head.headers.replaceOrAdd(name: "Host", value: "\(server)")
    let configuration = NIOTypedHTTPClientUpgradeConfiguration<Outcome>(upgradeRequestHead: head, upgraders: [upgrader]) {
      [server] channel in
      channel.eventLoop.makeCompletedFuture {
        let promise = channel.eventLoop.makePromise(of: ConnectionError.self)
        try channel.pipeline.syncOperations.addHandler(RefusalHandler(server: "\(server)", promise: promise))
        return .refused(promise.futureResult)
      }
    }
    var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
    // The cloud's first messages may come together with its answer.
    pipeline.leftOverBytesStrategy = .forwardBytes
    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: pipeline)
  }
}

/// Reads the answer of a server that doesn't want a websocket.
private final class RefusalHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart

  private static let limit = 300
  private let server: String
  private let promise: EventLoopPromise<ConnectionError>
  private var status = 0
  private var body: [UInt8] = []

  init(server: String, promise: EventLoopPromise<ConnectionError>) {
    self.server = server
    self.promise = promise
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): status = Int(head.status.code)
    case .body(let buffer):
      body += buffer.readableBytesView.prefix(Self.limit - body.count)
      if body.count >= Self.limit { finish(context) }
    case .end: finish(context)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    finish(context)
    context.fireChannelInactive()
  }

  func handlerRemoved(context: ChannelHandlerContext) { finish(context) }

  private func finish(_ context: ChannelHandlerContext) {
    let words = String(decoding: body, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    promise.succeed(.noWebsocket(server: server, status: status, words: words))
    context.close(promise: nil)
  }
}
