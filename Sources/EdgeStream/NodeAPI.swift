import Core
import NIOCore
import NIOHTTP1
import NIOPosix
import WebSocket

/// The node's own API: pods' logs, exec, attach and metrics, served in plain HTTP for this host alone.
struct NodeAPI: Sendable {
  typealias RawChannel = NIOAsyncChannel<ByteBuffer, ByteBuffer>
  typealias HTTPChannel = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

  /// Why it can't be asked.
  struct Failure: Error, Sendable, CustomStringConvertible {
    var description: String
  }

  /// What is read from it at once, and so goes into one message of the tunnel.
  static let chunkSize = 32 << 10

  private let address: String
  private let port: Int
  private let group: any EventLoopGroup

  /// - Parameters:
  ///   - address: where it listens; besides, it listens on 127.0.0.1.
  ///   - port: 0 if there is none.
  init(address: String, port: Int, group: any EventLoopGroup) {
    self.address = NodeAddress.isLoopback(address) ? address : "127.0.0.1"
    self.port = port
    self.group = group
  }

  /// `127.0.0.1:10350`
  var authority: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }

  /// A connection on which anything goes.
  ///
  /// - Throws: `Failure`.
  func connect() async throws -> RawChannel {
    try await connect { channel in
      try RawChannel(wrappingChannelSynchronously: channel, configuration: Self.configuration(isHalfClosed: true))
    }
  }

  /// A connection for one request.
  ///
  /// - Throws: `Failure`.
  func connectHTTP() async throws -> HTTPChannel {
    try await connect { channel in
      try channel.pipeline.syncOperations.addHTTPClientHandlers()
      return try HTTPChannel(wrappingChannelSynchronously: channel, configuration: Self.configuration(isHalfClosed: false))
    }
  }

  /// Few pieces are kept here: who doesn't take them makes the other side wait.
  private static func configuration<In, Out>(isHalfClosed: Bool) -> NIOAsyncChannel<In, Out>.Configuration {
    .init(backPressureStrategy: .init(lowWatermark: 1, highWatermark: 2), isOutboundHalfClosureEnabled: isHalfClosed)
  }

  private func connect<Wrapped: Sendable>(_ wrap: @escaping @Sendable (any Channel) throws -> Wrapped) async throws -> Wrapped {
    guard port > 0 else { throw Failure(description: "the node's API is off: readOnlyPort is 0") }
    do {
      return try await ClientBootstrap(group: group).connectTimeout(.seconds(5))
        .channelOption(.socketOption(.tcp_nodelay), value: 1)
        .channelOption(.maxMessagesPerRead, value: 1)
        .channelOption(
          .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 4096, maximum: Self.chunkSize)
        )
        .connect(to: SocketAddress(ipAddress: address, port: port)) { channel in
          channel.eventLoop.makeCompletedFuture { try wrap(channel) }
        }
    } catch {
      throw Failure(description: "the node's API at \(authority) can't be reached: \(ConnectionError.words(error))")
    }
  }
}
