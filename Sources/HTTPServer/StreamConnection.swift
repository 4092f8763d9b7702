import NIOCore

/// The two directions of an upgraded connection.
public struct StreamConnection: Sendable {
  private let inbound: NIOAsyncChannelInboundStream<ByteBuffer>
  private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>

  init(inbound: NIOAsyncChannelInboundStream<ByteBuffer>, outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) {
    self.inbound = inbound
    self.outbound = outbound
  }

  /// Calls `body` for each piece the peer sends, until it ends its side.
  public func read(_ body: ([UInt8]) async throws -> Void) async throws {
    for try await buffer in inbound { try await body(Array(buffer.readableBytesView)) }
  }

  /// Waits while the peer doesn't read.
  public func write(_ bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }
}

/// Takes the chunks of a streamed response.
public struct ResponseWriter: Sendable {
  let writeChunk: @Sendable (ByteBuffer) async throws -> Void

  /// Waits while the peer doesn't read.
  public func write(_ bytes: [UInt8]) async throws { try await writeChunk(ByteBuffer(bytes: bytes)) }
}
