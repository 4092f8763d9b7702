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
  public func send(_ message: ByteBuffer) async throws(ConnectionError) {
    let frame = WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: message)
    let seconds = writeDeadline
    let timer = channel.eventLoop.scheduleTask(in: .seconds(Int64(seconds))) { [channel, inbox] in
      inbox.end(.writeDeadline(seconds: seconds))
      channel.close(promise: nil)
    }
    defer { timer.cancel() }
    do {
      try await channel.writeAndFlush(frame).get()
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
