import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A small HTTP/1.1 server: routes, streamed answers, and connections that leave HTTP and become streams of bytes.
///
/// A connection without a request is closed after 90 s; a peer that doesn't read is waited for, with some 64 KiB under way at most.
public struct HTTPServer: Sendable {
  /// Where to listen.
  public enum Address: Sendable, Hashable {
    /// The socket's file is made with mode 0600 and removed at the end; a stale one is replaced.
    case unixSocket(path: String)
    case tcp(host: String, port: Int)
  }

  /// What peers may take.
  public struct Limits: Sendable {
    /// Connections at a time; more are closed at once.
    public var connections = 512
    /// Bytes of a request's line and headers; a longer head is answered 431.
    public var head = 256 << 10
    /// Bytes of a request's body.
    public var body = HTTPServer.bodyLimit
    /// Bytes of the bodies of all requests that have no answer yet.
    public var bodies = Int.max
    /// How long a connection may be without a whole request.
    public var requestTimeout = Duration.seconds(90)
    public init() {}
  }

  /// Makes the TLS context of a connection; asked for each, so that new certificates count from then on. One that throws ends the
  /// connection.
  public typealias RemoteTLS = @Sendable () throws -> NIOSSLContext

  /// Bytes of a request's body unless the limits say otherwise.
  public static let bodyLimit = 4 << 20
  /// The protocol name in `Upgrade` for routes made with `Route.upgrade`.
  public static let streamProtocol = "edgecore-stream"

  private typealias Listener = NIOAsyncChannel<Connection, Never>

  private let address: Address
  private let router: Router
  private let group: any EventLoopGroup
  private let limits: Limits
  private let remoteTLS: RemoteTLS?
  private let encryptsThisHost: Bool
  private let refuse: @Sendable (BodyRefusal, ServerRequest) -> ServerResponse
  private let logger: Logger

  /// - Parameters:
  ///   - remoteTLS: what other hosts have to speak. nil: plain HTTP.
  ///   - encryptsThisHost: whether this host has to speak TLS as well, not plain HTTP on the same port.
  ///   - refuse: answers a request whose body isn't taken; the request is without it.
  public init(
    address: Address, routes: [Route], group: any EventLoopGroup, limits: Limits = Limits(), remoteTLS: RemoteTLS? = nil,
    encryptsThisHost: Bool = false, refuse: @escaping @Sendable (BodyRefusal, ServerRequest) -> ServerResponse = { $0.answer(to: $1) },
    logger: Logger
  ) {
    self.address = address
    self.router = Router(routes: routes)
    self.group = group
    self.limits = limits
    self.remoteTLS = remoteTLS
    self.encryptsThisHost = encryptsThisHost
    self.refuse = refuse
    self.logger = logger
  }

  /// Serves until the task is cancelled; connections are ended then.
  /// - Parameter onListening: called once requests are accepted, with the port for TCP.
  public func run(onListening: @Sendable (Int?) -> Void = { _ in }) async throws {
    let reception = Reception()
    let listener = try await bind(reception)
    onListening(listener.channel.localAddress?.port)
    let result: Result<Void, any Error>
    do {
      result = .success(try await serve(listener, reception))
    } catch {
      result = .failure(error)
    }
    // Their channels must not go without being closed.
    for connection in reception.end() { await connection.refuse() }
    try result.get()
  }

  private func serve(_ listener: Listener, _ reception: Reception) async throws {
    let open = OpenConnections()
    let bodies = BodyRoom(limits)
    try await withThrowingDiscardingTaskGroup { tasks in
      try await listener.executeThenClose { connections in
        for try await connection in connections {
          reception.take(connection)
          let isWelcome = open.count < limits.connections
          open.add(1)
          tasks.addTask {
            if isWelcome { await serve(connection, bodies) } else { await connection.refuse() }
            open.add(-1)
          }
        }
      }
      tasks.cancelAll()
    }
  }

  private func bind(_ reception: Reception) async throws -> Listener {
    let bootstrap = ServerBootstrap(group: group).serverChannelOption(.backlog, value: 128)
      .childChannelOption(.maxMessagesPerRead, value: 4)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
    let initialise: @Sendable (any Channel) -> EventLoopFuture<Connection> = { [limits, remoteTLS, encryptsThisHost] in
      Connection.initialise($0, limits, remoteTLS, encryptsThisHost: encryptsThisHost, reception)
    }
    switch address {
    case .tcp(let host, let port):
      return try await bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .bind(host: host, port: port, childChannelInitializer: initialise)
    case .unixSocket(let path):
      let listener = try await bootstrap.bind(
        unixDomainSocketPath: path, cleanupExistingSocketFile: true, childChannelInitializer: initialise)
      chmod(path, 0o600)
      return listener
    }
  }

  private func serve(_ connection: Connection, _ bodies: BodyRoom) async {
    do {
      try await connection.use { inbound, outbound in
        let exchange = ConnectionExchange(
          reader: PartReader(inbound), outbound: outbound, settle: connection.settle, end: connection.events.inputEnd,
          peer: connection.peer, router: router,
          bodies: bodies, refuse: refuse)
        try await exchange.run()
        await connection.events.drain(outbound, atMost: limits.requestTimeout)
      }
    } catch {
      logger.debug("connection ended", metadata: ["error": "\(error)"])
    }
  }
}

/// How many connections there are.
private final class OpenConnections: Sendable {
  private let value = Atomic(0)
  var count: Int { value.load(ordering: .relaxed) }
  func add(_ number: Int) { value.add(number, ordering: .relaxed) }
}

/// Connections between the moment they are accepted and the one somebody takes them.
final class Reception: Sendable {
  private struct State {
    var isOver = false
    var waiting: [ObjectIdentifier: Connection] = [:]
  }

  private let state = Mutex(State())

  /// - Parameter connection: makes it; not called once the server has ended.
  /// - Throws: `ChannelError.ioOnClosedChannel` then.
  func admit(_ connection: () throws -> Connection) throws -> Connection {
    try state.withLock { state in
      guard !state.isOver else { throw ChannelError.ioOnClosedChannel }
      let connection = try connection()
      state.waiting[ObjectIdentifier(connection)] = connection
      return connection
    }
  }

  func take(_ connection: Connection) { _ = state.withLock { $0.waiting.removeValue(forKey: ObjectIdentifier(connection)) } }

  /// The server has ended; returns those that nobody took.
  func end() -> [Connection] {
    state.withLock { state in
      state.isOver = true
      defer { state.waiting = [:] }
      return Array(state.waiting.values)
    }
  }
}

/// A connection that was accepted.
final class Connection: Sendable {
  let events: ConnectionEvents
  private let channel: NIOAsyncChannel<ReceivedPart, SentPart>
  private let address: ServerRequest.Peer
  private let isEncrypted: Bool

  private init(
    channel: NIOAsyncChannel<ReceivedPart, SentPart>, events: ConnectionEvents, address: ServerRequest.Peer, isEncrypted: Bool
  ) {
    self.channel = channel
    self.events = events
    self.address = address
    self.isEncrypted = isEncrypted
  }

  /// Who sent what has come so far.
  @Sendable func peer() async throws -> ServerRequest.Peer {
    guard isEncrypted else { return address }
    var peer = address
    peer.certificate = try await channel.channel.nioSSL_peerCertificate().flatMapThrowing { try $0?.toDERBytes() }.get()
    return peer
  }

  /// Returns when the channel's loop has got round to all that was written: only then whoever writes knows whether the peer takes it. On a busy
  /// machine a quick writer could pile up any amount before.
  @Sendable func settle() async throws { try await channel.channel.eventLoop.submit {}.get() }

  /// Runs `body` and closes the connection.
  func use(
    _ body: (NIOAsyncChannelInboundStream<ReceivedPart>, NIOAsyncChannelOutboundWriter<SentPart>) async throws -> Void
  ) async throws {
    try await channel.executeThenClose(body)
  }

  static func initialise(
    _ channel: any Channel, _ limits: HTTPServer.Limits, _ remoteTLS: HTTPServer.RemoteTLS?, encryptsThisHost: Bool,
    _ reception: Reception
  ) -> EventLoopFuture<Connection> {
    channel.eventLoop.makeCompletedFuture {
      var decoderLimits = NIOHTTPDecoderLimitConfiguration()
      decoderLimits.maxHeaderFieldSize = limits.head
      decoderLimits.maxHeaderListSize = limits.head
      let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoderLimits))
      let encoder = HTTPResponseEncoder()
      let events = ConnectionEvents()
      let seconds = limits.requestTimeout.components.seconds
      let peer = ServerRequest.Peer(local: channel.localAddress, remote: channel.remoteAddress)
      let context: NIOSSLContext?
      do {
        context = try peer.isOnThisHost && !encryptsThisHost ? nil : remoteTLS?()
      } catch {
        // Left open, the peer would wait for its handshake.
        channel.close(promise: nil)
        throw error
      }
      if let context { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context)) }
      try channel.pipeline.syncOperations.addHandlers(
        encoder, decoder, HTTPPartHandler(decoder: decoder, encoder: encoder, requestTimeout: .seconds(seconds)),
        ConnectionEventsHandler(events))
      return try reception.admit {
        Connection(
          channel: try NIOAsyncChannel(wrappingChannelSynchronously: channel), events: events, address: peer, isEncrypted: context != nil)
      }
    }
  }

  func refuse() async { try? await use { _, _ in } }
}

extension ServerRequest.Peer {
  /// Both ends count: an address of this host's loopback may be reached from outside where packets are rewritten.
  init(local: SocketAddress?, remote: SocketAddress?) {
    func isLoopback(_ address: SocketAddress?) -> Bool {
      switch address {
      case .unixDomainSocket: return true
      case .v4, .v6:
        let text = address?.ipAddress ?? ""
        return text == "::1" || text.hasPrefix("127.") || text.hasPrefix("::ffff:127.")
      case nil: return false
      }
    }
    self.init(address: remote?.ipAddress, isOnThisHost: isLoopback(local) && isLoopback(remote))
  }
}
