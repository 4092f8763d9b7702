import NIOCore
import NIOPosix
import Synchronization

/// Stands for the node's own API: what it does depends on the last part of the path that it is asked for.
final class NodeServer: Sendable {
  fileprivate struct State {
    var heads: [String] = []
    var open = 0
    var collected: [UInt8] = []
    var flooded = 0
  }

  /// What logs are made of.
  let body: [UInt8]
  let port: Int
  private let group: MultiThreadedEventLoopGroup
  private let state: Shared

  /// Where the handlers write down what happens.
  fileprivate final class Shared: Sendable {
    let state = Mutex(State())
    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }
  }

  static func start(body: [UInt8] = Array("a line\n".utf8)) async throws -> NodeServer {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let shared = Shared()
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Handler(shared: shared, body: body))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return NodeServer(group: group, port: channel.localAddress?.port ?? 0, body: body, state: shared)
  }

  private init(group: MultiThreadedEventLoopGroup, port: Int, body: [UInt8], state: Shared) {
    self.group = group
    self.port = port
    self.body = body
    self.state = state
  }

  /// The requests that came, up to the empty line.
  var heads: [String] { state.state.withLock { $0.heads } }
  var open: Int { state.state.withLock { $0.open } }
  var collected: [UInt8] { state.state.withLock { $0.collected } }

  func stop() async { try? await group.shutdownGracefully() }

  /// Waits until nobody is connected any more.
  func waitUntilAlone() async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while open > 0 {
      guard ContinuousClock.now < deadline else { throw TestFailure("\(open) connections to the node's API stay open") }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Mode { case head, echo, collect, flood, idle }

    private let shared: Shared
    private let body: [UInt8]
    private var received: [UInt8] = []
    private var mode = Mode.head
    private var isCounted = true

    init(shared: Shared, body: [UInt8]) {
      self.shared = shared
      self.body = body
    }

    func channelActive(context: ChannelHandlerContext) { shared.change { $0.open += 1 } }
    func channelInactive(context: ChannelHandlerContext) { leave() }

    private func leave() {
      if isCounted { shared.change { $0.open -= 1 } }
      isCounted = false
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let buffer = unwrapInboundIn(data)
      switch mode {
      case .head:
        received += buffer.readableBytesView
        guard let end = received.firstRange(of: Array("\r\n\r\n".utf8)) else { return }
        let head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
        let rest = Array(received[end.upperBound...])
        shared.change { $0.heads.append(head) }
        begin(context, head)
        if !rest.isEmpty { take(context, rest) }
      default: take(context, Array(buffer.readableBytesView))
      }
    }

    private func take(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
      switch mode {
      case .echo: write(context, bytes)
      case .collect: shared.change { $0.collected += bytes }
      default: break
      }
    }

    private func begin(_ context: ChannelHandlerContext, _ head: String) {
      let target = head.split(separator: " ").dropFirst().first ?? ""
      let path = target.split(separator: "?").first ?? ""
      switch path.split(separator: "/").last ?? "" {
      case "bytes":
        mode = .idle
        write(context, "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n")
        write(context, body)
      case "chunked":
        mode = .idle
        write(context, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in stride(from: 0, to: body.count, by: 10_000) {
          let piece = body[start..<min(start + 10_000, body.count)]
          write(context, "\(String(piece.count, radix: 16))\r\n")
          write(context, Array(piece))
          write(context, "\r\n")
        }
        write(context, "0\r\n\r\n")
      case "missing":
        mode = .idle
        write(context, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
      case "explained":
        mode = .idle
        write(context, "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nno such x")
      case "torn":
        write(context, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegin\n\r\n6\r\nend")
        context.close(promise: nil)
      case "hangup": context.close(promise: nil)
      case "follow":
        mode = .idle
        write(context, "HTTP/1.1 200 OK\r\n\r\nbegin\n")
      case "flood":
        mode = .flood
        write(context, "HTTP/1.1 200 OK\r\n\r\n")
        flood(context)
      case "echo":
        mode = .echo
        write(context, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n")
      case "stuck":
        mode = .idle
        write(context, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
        // Who reads nothing doesn't see the end either.
        leave()
        context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
      case "collect":
        mode = .collect
        write(context, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
      default:
        write(context, "bye")
        context.close(promise: nil)
      }
    }

    /// Writes as long as somebody takes it.
    private func flood(_ context: ChannelHandlerContext) {
      let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(repeating: 0x78, count: 65_536))).whenSuccess {
        bound.value.0.flood(bound.value.1)
      }
    }

    private func write(_ context: ChannelHandlerContext, _ text: String) { write(context, Array(text.utf8)) }

    private func write(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
  }
}

struct TestFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
