import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// A small HTTP/1.1 server: routes, streamed answers, and connections upgraded to byte streams.
public struct HTTPServer: Sendable {
  /// Where to listen.
  public enum Address: Sendable, Hashable {
    /// The socket's file is made with mode 0600 and removed at the end; a stale one is replaced.
    case unixSocket(path: String)
    case tcp(host: String, port: Int)
  }

  /// Bytes of a request's body; a larger one is answered 413.
  public static let bodyLimit = 4 << 20
  /// The protocol name in `Upgrade` for routes that become byte streams.
  public static let streamProtocol = "edgecore-stream"

  private typealias HTTPChannel = NIOAsyncChannel<HTTPServerRequestPart, HTTPPart<HTTPResponseHead, ByteBuffer>>
  private typealias Listener = NIOAsyncChannel<EventLoopFuture<Connection>, Never>

  private enum Connection: Sendable {
    case http(HTTPChannel)
    case stream(HTTPRequestHead, NIOAsyncChannel<ByteBuffer, ByteBuffer>)
  }

  private let address: Address
  private let router: Router
  private let group: any EventLoopGroup
  private let logger: Logger

  public init(address: Address, routes: [Route], group: any EventLoopGroup, logger: Logger) {
    self.address = address
    self.router = Router(routes: routes)
    self.group = group
    self.logger = logger
  }

  /// Serves until the task is cancelled; connections are ended then.
  /// - Parameter onListening: called once requests are accepted, with the port for TCP.
  public func run(onListening: @Sendable (Int?) -> Void = { _ in }) async throws {
    let listener = try await bind()
    onListening(listener.channel.localAddress?.port)
    try await withThrowingDiscardingTaskGroup { tasks in
      try await listener.executeThenClose { connections in
        for try await connection in connections {
          tasks.addTask { await serve(connection) }
        }
      }
      tasks.cancelAll()
    }
  }

  private func bind() async throws -> Listener {
    let bootstrap = ServerBootstrap(group: group).serverChannelOption(.backlog, value: 64)
      .childChannelOption(.maxMessagesPerRead, value: 4)
    switch address {
    case .tcp(let host, let port):
      return try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .bind(host: host, port: port) { Self.initialise($0) }
    case .unixSocket(let path):
      let listener = try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true) { Self.initialise($0) }
      chmod(path, 0o600)
      return listener
    }
  }

  private static func initialise(_ channel: any Channel) -> EventLoopFuture<EventLoopFuture<Connection>> {
    channel.eventLoop.makeCompletedFuture {
      let upgrader = StreamUpgrader<Connection> { channel, head in
        channel.eventLoop.makeCompletedFuture {
          .stream(head, try NIOAsyncChannel(wrappingChannelSynchronously: channel))
        }
      }
      let configuration = NIOTypedHTTPServerUpgradeConfiguration<Connection>(upgraders: [upgrader]) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ByteBufferResponseHandler())
          return .http(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
        }
      }
      return try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
        configuration: .init(upgradeConfiguration: configuration))
    }
  }

  // MARK: Connections

  private func serve(_ connection: EventLoopFuture<Connection>) async {
    do {
      switch try await connection.get() {
      case .http(let channel): try await serveHTTP(channel)
      case .stream(let head, let channel): try await serveStream(head, channel)
      }
    } catch {
      logger.debug("connection ended", metadata: ["error": "\(error)"])
    }
  }

  private func serveStream(_ head: HTTPRequestHead, _ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async throws {
    try await channel.executeThenClose { inbound, outbound in
      var request = ServerRequest(head, body: [])
      guard case .upgrade(let handler) = try router.route(for: &request).handler else { return }
      try await handler(request, StreamConnection(inbound: inbound, outbound: outbound))
    }
  }

  private func serveHTTP(_ channel: HTTPChannel) async throws {
    try await channel.executeThenClose { inbound, outbound in
      var iterator = inbound.makeAsyncIterator()
      while let part = try await iterator.next() {
        guard case .head(let head) = part else { continue }
        var body: [UInt8] = []
        var isTooLarge = false
        reading: while let part = try await iterator.next() {
          switch part {
          case .body(let buffer):
            isTooLarge = isTooLarge || body.count + buffer.readableBytes > Self.bodyLimit
            if !isTooLarge { body += buffer.readableBytesView }
          case .end: break reading
          case .head: return
          }
        }
        let response =
          isTooLarge
          ? ServerResponse.text("the request's body is larger than \(Self.bodyLimit) bytes\n", status: 413)
          : await answer(ServerRequest(head, body: body))
        try await send(response, head, outbound)
        if !head.isKeepAlive { return }
      }
    }
  }

  private func answer(_ request: ServerRequest) async -> ServerResponse {
    var request = request
    do {
      switch try router.route(for: &request).handler {
      case .respond(let handler): return try await handler(request)
      case .upgrade: return .text("\(request.path) needs `Upgrade: \(Self.streamProtocol)`\n", status: 426)
      }
    } catch let error as ServerError {
      return .text(error.message + "\n", status: error.status)
    } catch {
      return .text("\(error)\n", status: 500)
    }
  }

  private func send(
    _ response: ServerResponse, _ request: HTTPRequestHead,
    _ outbound: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPResponseHead, ByteBuffer>>
  ) async throws {
    var head = HTTPResponseHead(version: request.version, status: .init(statusCode: response.status))
    head.headers.add(name: "Content-Type", value: response.contentType)
    if !request.isKeepAlive { head.headers.add(name: "Connection", value: "close") }
    switch response.body {
    case .bytes(let bytes):
      head.headers.add(name: "Content-Length", value: String(bytes.count))
      try await outbound.write(contentsOf: [.head(head), .body(ByteBuffer(bytes: bytes)), .end(nil)])
    case .stream(let produce):
      head.headers.add(name: "Transfer-Encoding", value: "chunked")
      try await outbound.write(.head(head))
      try await produce(ResponseWriter { try await outbound.write(.body($0)) })
      try await outbound.write(.end(nil))
    }
  }
}

extension ServerRequest {
  fileprivate init(_ head: HTTPRequestHead, body: [UInt8]) {
    self.init(method: head.method.rawValue, target: head.uri, headers: head.headers.map { ($0.name, $0.value) }, body: body)
  }
}
