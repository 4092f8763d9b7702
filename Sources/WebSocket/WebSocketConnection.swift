import NIOCore
import NIOWebSocket

/// An open websocket to the cloud.
public final class WebSocketConnection: Sendable {
  /// The most that a message from the cloud should need, bytes.
  public static let messageLimit = 64 << 20

  private let channel: any Channel
  private let inbox: MessageInbox
  private let writeDeadline: Int

  /// - Parameter writeDeadline: seconds.
  init(channel: any Channel, inbox: MessageInbox, writeDeadline: Int) {
    self.channel = channel
    self.inbox = inbox
    self.writeDeadline = writeDeadline
  }

  /// The next message; nil when the task is cancelled or nothing is to be received any more.
  ///
  /// - Throws: why the connection has ended.
  public func receive() async throws(ConnectionError) -> [UInt8]? {
    try await inbox.next { [channel] in channel.read() }
  }

  /// Whether there are messages that can be received at once. What waits in the socket is none.
  public var hasMessages: Bool { inbox.hasMessages }

  /// From now on nothing is read.
  public func stopReceiving() { inbox.stop() }

  /// Sends a message; returns when the network has taken it.
  ///
  /// - Throws: why the connection has ended.
  public func send(_ message: [UInt8]) async throws(ConnectionError) { try await send(ByteBuffer(bytes: message)) }

  /// Sends a message, as a text whatever its bytes are; returns when the network has taken it. Being cancelled changes nothing.
  ///
  /// - Throws: why the connection has ended.
  public func send(_ message: ByteBuffer) async throws(ConnectionError) { try await send([message]) }

  /// Sends messages in their order, together: the network is given all of them at once.
  ///
  /// - Throws: why the connection has ended; some of them may have been sent.
  public func send(_ messages: [ByteBuffer]) async throws(ConnectionError) {
    do {
      try await channel.eventLoop.flatSubmit { [channel, inbox, writeDeadline] in
        let frames = messages.map { WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: $0) }
        guard let last = frames.last else { return channel.eventLoop.makeSucceededVoidFuture() }
        let timer = channel.eventLoop.scheduleTask(in: .seconds(Int64(writeDeadline))) {
          inbox.end(.writeDeadline(seconds: writeDeadline))
          channel.close(promise: nil)
        }
        for frame in frames.dropLast() { channel.write(frame, promise: nil) }
        let written = channel.writeAndFlush(last)
        written.whenComplete { _ in timer.cancel() }
        return written
      }.get()
    } catch {
      throw inbox.reason ?? ConnectionError(error, server: "", isOpen: true, limit: 0)
    }
  }

  /// Asks the cloud for a sign of life. Nothing is asked while it doesn't take what was sent before.
  public func ping(_ text: String) {
    guard channel.isWritable else { return }
    channel.writeAndFlush(WebSocketFrame(fin: true, opcode: .ping, maskKey: .random(), data: ByteBuffer(string: text)), promise: nil)
  }

  /// Says goodbye and closes; returns when everything is gone.
  public func close(_ reason: ConnectionError = .ended) async {
    inbox.end(reason)
    if channel.isActive, channel.isWritable {
      var data = channel.allocator.buffer(capacity: 2)
      data.write(webSocketErrorCode: .normalClosure)
      let frame = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: data)
      channel.writeAndFlush(frame, promise: nil)
    }
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
  }
}
