import Glibc
import Logging
import NIOCore
import NIOHTTP2
import NIOPosix
import Synchronization

/// A small gRPC server on a Unix socket, in clear text: calls with one request and one reply.
public struct GRPCServer: Sendable {
  /// What answers a call. Takes and returns messages' bytes; a `GRPCError` becomes the call's status, any other error `unknown`.
  public typealias Method = @Sendable ([UInt8]) async throws -> [UInt8]

  public struct Limits: Sendable {
    /// Connections at a time; more are closed at once.
    public var connections = 512
    /// Calls of one connection at a time.
    public var calls = 64
    /// Bytes of a request's message.
    public var message = 4 << 20
    /// How long a call may take, its request's way here among it.
    public var timeout = Duration.seconds(30)
    public init() {}
  }

  private let path: String
  private let methods: [String: Method]
  private let limits: Limits
  private let group: any EventLoopGroup
  private let logger: Logger

  /// - Parameters:
  ///   - path: of the socket. A stale one is replaced; it is removed at the end.
  ///   - methods: by path, `/v1beta1.DeviceManagerService/MapperRegister`.
  public init(socket path: String, methods: [String: Method], limits: Limits = Limits(), group: any EventLoopGroup, logger: Logger) {
    self.path = path
    self.methods = methods
    self.limits = limits
    self.group = group
    self.logger = logger
  }

  /// Serves until the task is cancelled; calls under way are given up then.
  /// - Parameter onListening: called once calls are accepted.
  /// - Throws: if the socket can't be bound.
  public func run(onListening: @Sendable () -> Void = {}) async throws {
    let open = Mutex<[ObjectIdentifier: any Channel]>([:])
    // Under another name first: whoever finds the socket finds one that is served.
    let draft = "\(path).\(getpid())"
    unlink(draft)
    let (methods, limits) = (methods, limits)
    let listener = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .childChannelInitializer { channel in
        let isWelcome = open.withLock { open in
          guard open.count < limits.connections else { return false }
          open[ObjectIdentifier(channel)] = channel
          return true
        }
        guard isWelcome else { return channel.close() }
        channel.closeFuture.whenComplete { _ in open.withLock { $0[ObjectIdentifier(channel)] = nil } }
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
          HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.calls), HTTP2Setting(parameter: .maxHeaderListSize, value: 16 << 10),
        ]
        return channel.configureHTTP2Pipeline(
          mode: .server, connectionConfiguration: connection, streamConfiguration: .init()
        ) { stream in
          stream.eventLoop.makeCompletedFuture {
            try stream.pipeline.syncOperations.addHandler(GRPCCall(methods: methods, limits: limits))
          }
        }.map { _ in }
      }
      .bind(unixDomainSocketPath: draft).get()
    chmod(draft, 0o600)
    guard rename(draft, path) == 0 else {
      let reason = String(cString: strerror(errno))
      try? await listener.close()
      unlink(draft)
      throw GRPCError(.unavailable, "the socket \(path) can't be put in its place: \(reason)")
    }
    onListening()
    let (ended, end) = AsyncStream<Void>.makeStream()
    await withTaskCancellationHandler {
      for await _ in ended {}
    } onCancel: {
      end.finish()
    }
    unlink(path)
    try? await listener.close()
    for channel in open.withLock({ Array($0.values) }) { try? await channel.close() }
  }
}
