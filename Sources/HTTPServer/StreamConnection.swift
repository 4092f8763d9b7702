import NIOCore
import NIOPosix

/// A connection that is bytes, or messages, in both directions.
public struct StreamConnection: Sendable {
  private let reader: PartReader
  private let outbound: NIOAsyncChannelOutboundWriter<SentPart>
  private let end: OneTimeEvent

  init(reader: PartReader, outbound: NIOAsyncChannelOutboundWriter<SentPart>, end: OneTimeEvent) {
    self.reader = reader
    self.outbound = outbound
    self.end = end
  }

  /// Waits for bytes; nil when the peer has ended its side. For one reader at a time. While nobody reads, the peer has to wait.
  public func next() async throws -> [UInt8]? {
    while let part = try await reader.next() {
      if case .bytes(let buffer) = part, buffer.readableBytes > 0 { return Array(buffer.readableBytesView) }
    }
    return nil
  }

  /// Makes the connection one of WebSocket messages.
  /// - Parameter head: what the peer is answered before.
  public func speakWebSocket(head: [UInt8]) async throws { try await outbound.write(.speakWebSocket(ByteBuffer(bytes: head))) }

  /// Waits for a message; nil when the peer has closed. At most 4 MiB; a longer one ends the connection.
  public func nextMessage() async throws -> WebSocketMessage? {
    while let part = try await reader.next() {
      if case .message(let message) = part { return message }
    }
    return nil
  }

  /// Waits while the peer doesn't read. Messages of several tasks don't mix.
  public func write(_ message: WebSocketMessage) async throws { try await outbound.write(.message(message)) }

  /// Says that all is said; the peer closes then.
  public func endMessages() async throws { try await outbound.write(.endOfMessages) }

  /// Calls `body` for each piece the peer sends, until it ends its side.
  public func read(_ body: ([UInt8]) async throws -> Void) async throws {
    while let bytes = try await next() { try await body(bytes) }
  }

  /// Waits while the peer doesn't read. Writes of several tasks don't mix.
  public func write(_ bytes: [UInt8]) async throws { try await outbound.write(.bytes(ByteBuffer(bytes: bytes))) }

  /// Ends our side behind what was written; reading goes on.
  public func closeWrite() async throws { try await outbound.write(.endOfOutput) }

  /// Returns when the peer has ended its side or is gone, even if bytes of it wait to be read; or when the task is cancelled.
  public func waitUntilPeerEnds() async { await end.wait() }

  /// Takes over a connected socket, hands it to `body`, and closes it afterwards.
  public static func with<Value: Sendable>(
    socket: Int32, on group: any EventLoopGroup, _ body: (StreamConnection) async throws -> Value
  ) async throws -> Value {
    let events = ConnectionEvents()
    let channel = try await ClientBootstrap(group: group)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .withConnectedSocket(socket) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(BytePartHandler(), ConnectionEventsHandler(events))
          return try NIOAsyncChannel<ReceivedPart, SentPart>(wrappingChannelSynchronously: channel)
        }
      }
    return try await channel.executeThenClose { inbound, outbound in
      let value = try await body(StreamConnection(reader: PartReader(inbound), outbound: outbound, end: events.inputEnd))
      await events.drain(outbound, atMost: .seconds(90))
      return value
    }
  }
}

/// Takes the chunks of a streamed response.
public struct ResponseWriter: Sendable {
  let writeChunk: @Sendable (ByteBuffer) async throws -> Void

  /// Waits while the peer doesn't read.
  public func write(_ bytes: [UInt8]) async throws {
    // An empty chunk would end the response.
    if !bytes.isEmpty { try await writeChunk(ByteBuffer(bytes: bytes)) }
  }
}
