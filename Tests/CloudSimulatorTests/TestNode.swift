import CloudSimulator
import Core
import Crypto
import Curl
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Synchronization
import X509
import YAML

/// A node that only speaks: gets a certificate, connects, sends and receives.
final class TestNode: Sendable {
  struct Frame: Sendable, Hashable {
    var isLast: Bool
    var opcode: WebSocketOpcode
    var length: Int
  }

  struct Received: Sendable {
    var message: Message
    var text: [UInt8]
    var frames: [Frame]
  }

  struct Identity: Sendable {
    var certificate: [UInt8]
    var keyPEM: String
    /// Files in PEM, for HTTP clients.
    var directory: String
  }

  private struct State {
    var received: [Received] = []
    var readers: [Int: AsyncStream<Received>.Continuation] = [:]
    var nextReader = 0
    var answers: @Sendable (Message) -> Bool = { _ in true }
    var isClosed = false
  }

  let name: String
  private let channel: any Channel
  private let state = Mutex(State())

  private init(name: String, channel: any Channel) {
    self.name = name
    self.channel = channel
  }

  // MARK: Certificates

  /// Gets the authority and a certificate, as a node does when it joins.
  static func join(_ cloud: CloudSimulator, _ name: String) async throws -> Identity {
    let directory = FileManager.default.temporaryDirectory.path + "/cloudsim-\(MessageID.make().prefix(8))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let authority = try await get(cloud, "/ca.crt", verifies: nil)
    let hash = SHA256.hash(data: authority.body).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    let token = cloud.token
    guard token.hasPrefix(hash + ".") else { throw CloudSimulatorError("the token is of another authority") }
    try Certificate(derEncoded: authority.body).serializeAsPEM().pemString.write(
      toFile: directory + "/ca.crt", atomically: true, encoding: .utf8)
    let key = P256.Signing.PrivateKey()
    let answer = try await get(
      cloud, "/edge.crt", headers: [("Authorization", "Bearer " + token.dropFirst(hash.count + 1)), ("NodeName", name)],
      body: try request(name, key), verifies: directory + "/ca.crt")
    guard answer.status == 200 else { throw CloudSimulatorError("no certificate: \(answer.status)") }
    try key.pemRepresentation.write(toFile: directory + "/tls.key", atomically: true, encoding: .utf8)
    try Certificate(derEncoded: answer.body).serializeAsPEM().pemString.write(
      toFile: directory + "/tls.crt", atomically: true, encoding: .utf8)
    return Identity(certificate: answer.body, keyPEM: key.pemRepresentation, directory: directory)
  }

  /// A request for a certificate in DER.
  static func request(_ name: String, _ key: P256.Signing.PrivateKey = .init()) throws -> [UInt8] {
    try CertificateSigningRequest(
      version: .v1,
      subject: try DistinguishedName {
        CountryName("CN")
        StateOrProvinceName("Zhejiang")
        LocalityName("Hangzhou")
        OrganizationName("system:nodes")
        CommonName("system:node:\(name)")
      }, privateKey: .init(key), attributes: .init(), signatureAlgorithm: .ecdsaWithSHA256
    ).serializeAsPEM().derBytes
  }

  static func get(
    _ cloud: CloudSimulator, _ path: String, method: String = "GET", headers: [(String, String)] = [], body: [UInt8] = [],
    verifies caFile: String?, identity: Identity? = nil
  ) async throws -> (status: Int, body: [UInt8]) {
    var request = HTTPRequest(
      method, cloud.httpServer + path, headers: headers.map { HTTPField($0.0, $0.1) }, body: body.isEmpty ? .none : .bytes(body))
    request.tls.verifiesPeer = caFile != nil
    request.tls.caFile = caFile
    if let identity {
      request.tls.certificateFile = identity.directory + "/tls.crt"
      request.tls.privateKeyFile = identity.directory + "/tls.key"
    }
    request.isolatesConnection = true
    let response = try await HTTPClient().execute(request)
    return (response.status, try await response.body.collect(upTo: 1 << 20))
  }

  // MARK: Connecting

  static func connect(
    _ cloud: CloudSimulator, _ name: String, _ identity: Identity, headers: [(String, String)]? = nil, keepalive: Bool = true
  ) async throws -> TestNode {
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.trustRoots = .certificates([try NIOSSLCertificate(bytes: Array(cloud.authorityPEM.utf8), format: .pem)])
    configuration.certificateChain = [.certificate(try NIOSSLCertificate(bytes: identity.certificate, format: .der))]
    configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.keyPEM.utf8), format: .pem))
    let context = try NIOSSLContext(configuration: configuration)
    let parts = cloud.websocketServer.split(separator: ":").map(String.init)
    let group = MultiThreadedEventLoopGroup.singleton
    let upgraded = group.next().makePromise(of: TestNode.self)
    let fields = headers ?? [("node_id", name), ("project_id", "e632aba927ea4ac2b575ec1603d56f10"), ("ConnectionUse", "msg")]
    let bootstrap = ClientBootstrap(group: group).channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        let upgrader = NIOWebSocketClientUpgrader(maxFrameSize: 1 << 30) { channel, _ in
          channel.eventLoop.makeCompletedFuture {
            let node = TestNode(name: name, channel: channel)
            try channel.pipeline.syncOperations.addHandler(FrameReader(node))
            upgraded.succeed(node)
          }
        }
        let request = UpgradeRequest(parts.joined(separator: ":"), "/e632aba927ea4ac2b575ec1603d56f10/\(name)/events", fields) {
          upgraded.fail($0)
        }
        let bound = NIOLoopBound(request, eventLoop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHTTPClientHandlers(
          withClientUpgrade: (
            upgraders: [upgrader], completionHandler: { $0.pipeline.syncOperations.removeHandler(bound.value, promise: nil) }
          ))
        try channel.pipeline.syncOperations.addHandler(request)
      }
    }
    let channel: any Channel
    do {
      channel = try await bootstrap.connect(host: parts[0], port: Int(parts[1]) ?? 0).get()
    } catch {
      upgraded.fail(error)
      throw error
    }
    channel.closeFuture.whenComplete { _ in upgraded.fail(CloudSimulatorError("the connection was closed")) }
    let node = try await upgraded.futureResult.get()
    if keepalive { node.keepalive() }
    return node
  }

  func keepalive() {
    send(
      Message(
        route: .init(source: "websocket", group: "resource", operation: .keepalive, resource: "node"), content: Array("\"ping\"".utf8)))
  }

  func close() async {
    channel.close(promise: nil)
    try? await channel.closeFuture.get()
  }

  /// Returns when the cloud has closed the connection.
  func waitUntilClosed() async { try? await channel.closeFuture.get() }

  var isOpen: Bool { channel.isActive }

  // MARK: Sending

  func send(_ message: Message) { send(raw: message.wire) }

  func send(raw: [UInt8]) {
    channel.writeAndFlush(
      WebSocketFrame(fin: true, opcode: .text, maskKey: .random(), data: ByteBuffer(bytes: raw)), promise: nil)
  }

  /// A request of the node's pod module, and its answer.
  func request(_ operation: Message.Operation, _ resource: String, _ content: String = "null") async throws -> Received {
    let message = Message(
      route: .init(source: "edged", group: "meta", operation: operation, resource: resource), content: Array(content.utf8))
    send(message)
    return try await received { $0.parentID == message.id }
  }

  func acknowledge(_ message: Message) {
    send(
      Message(
        header: .init(parentID: message.id),
        route: .init(source: message.route.source, group: message.route.group, operation: .response, resource: message.resource),
        content: Array("\"OK\"".utf8)))
  }

  /// Which messages are acknowledged by themselves; all, unless something else is said.
  func acknowledges(_ rule: @escaping @Sendable (Message) -> Bool) { state.withLock { $0.answers = rule } }

  // MARK: Receiving

  var received: [Received] { state.withLock { $0.received } }

  /// The first message that matches, among those that came before too.
  func received(within limit: Duration = .seconds(30), _ predicate: @escaping @Sendable (Message) -> Bool) async throws -> Received {
    try await received(1, within: limit, predicate)[0]
  }

  /// The first `count` messages that match.
  func received(
    _ count: Int, within limit: Duration = .seconds(30), _ predicate: @escaping @Sendable (Message) -> Bool
  ) async throws -> [Received] {
    let (stream, continuation) = AsyncStream.makeStream(of: Received.self)
    let id = state.withLock { state in
      for item in state.received { continuation.yield(item) }
      state.nextReader += 1
      state.readers[state.nextReader] = continuation
      return state.nextReader
    }
    defer { state.withLock { _ = $0.readers.removeValue(forKey: id) } }
    let found = await withTaskGroup(of: [Received]?.self) { tasks in
      tasks.addTask {
        var found: [Received] = []
        for await item in stream where predicate(item.message) {
          found.append(item)
          if found.count == count { return found }
        }
        return nil
      }
      tasks.addTask {
        try? await Task.sleep(for: limit)
        return nil
      }
      defer { tasks.cancelAll() }
      return await tasks.next() ?? nil
    }
    guard let found else { throw CloudSimulatorError("\(name) did not get \(count) such messages within \(limit)") }
    return found
  }

  fileprivate func take(_ text: [UInt8], _ frames: [Frame]) {
    guard let message = try? Message(wire: text) else { return }
    let item = Received(message: message, text: text, frames: frames)
    let isAcknowledged = state.withLock { state in
      state.received.append(item)
      for reader in state.readers.values { reader.yield(item) }
      return state.answers(message)
    }
    if isAcknowledged { acknowledge(message) }
  }
}

/// Puts frames together and remembers what they were.
private final class FrameReader: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  private let node: TestNode
  private var text: [UInt8] = []
  private var frames: [TestNode.Frame] = []

  init(_ node: TestNode) { self.node = node }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = unwrapInboundIn(data)
    frames.append(.init(isLast: frame.fin, opcode: frame.opcode, length: frame.data.readableBytes))
    text += frame.data.readableBytesView
    guard frame.fin else { return }
    node.take(text, frames)
    text = []
    frames = []
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Asks for the upgrade.
private final class UpgradeRequest: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart
  private let host: String
  private let path: String
  private let headers: [(String, String)]
  private let onRefusal: (any Error) -> Void

  init(_ host: String, _ path: String, _ headers: [(String, String)], onRefusal: @escaping (any Error) -> Void) {
    self.host = host
    self.path = path
    self.headers = headers
    self.onRefusal = onRefusal
  }

  func channelActive(context: ChannelHandlerContext) {
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
    head.headers.add(name: "Host", value: host)
    for header in headers { head.headers.add(name: header.0, value: header.1) }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.fireChannelActive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .head(let head) = unwrapInboundIn(data) { onRefusal(CloudSimulatorError("refused with \(head.status.code)")) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    onRefusal(error)
    context.close(promise: nil)
  }
}
