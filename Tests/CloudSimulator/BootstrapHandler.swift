import NIOCore
import NIOHTTP1
import NIOSSL
import YAML

/// The cloud's HTTPS server: hands out the authority and certificates, and says whether a node exists.
final class BootstrapHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private static let bodyLimit = 1 << 20

  private let authority: CertificateAuthority
  private let certificateLife: Duration
  private let hasNode: @Sendable (String) -> Bool
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []

  init(authority: CertificateAuthority, certificateLife: Duration, hasNode: @escaping @Sendable (String) -> Bool) {
    self.authority = authority
    self.certificateLife = certificateLife
    self.hasNode = hasNode
  }

  struct Answer {
    var status: Int
    var body: [UInt8]

    static func text(_ status: Int, _ text: String) -> Answer { Answer(status: status, body: Array(text.utf8)) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
    case .body(let buffer):
      if body.count <= Self.bodyLimit { body += buffer.readableBytesView }
    case .end:
      guard let head else { return }
      self.head = nil
      let peer = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes()
      let answer = answer(head, body, peer: peer)
      var response = HTTPResponseHead(version: head.version, status: .init(statusCode: answer.status))
      response.headers.add(name: "Content-Length", value: String(answer.body.count))
      if !head.isKeepAlive { response.headers.add(name: "Connection", value: "close") }
      context.write(wrapOutboundOut(.head(response)), promise: nil)
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      if !head.isKeepAlive { context.close(promise: nil) }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  // MARK: Routes

  private func answer(_ head: HTTPRequestHead, _ body: [UInt8], peer: [UInt8]?) -> Answer {
    let path = String(head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)[0])
    let parts = path.split(separator: "/").map(String.init)
    let method: HTTPMethod
    switch (parts.first, parts.count) {
    case ("ca.crt", 1), ("edge.crt", 1), ("node", 2): method = .GET
    case ("nodeupgrade", 1), ("task", 7): method = .POST
    default: return .text(404, "404: Page Not Found")
    }
    guard head.method == method else { return .text(405, "405: Method Not Allowed") }
    // The routes say nothing of what they produce, so that only a client that takes anything gets something.
    let accept = head.headers["Accept"]
    guard accept.isEmpty || accept.contains(where: { $0.contains("*/*") }) else { return .text(406, "406: Not Acceptable") }
    switch parts[0] {
    case "ca.crt": return Answer(status: 200, body: authority.der)
    case "edge.crt": return certificate(head.headers, body, peer: peer)
    case "node": return hasNode(parts[1]) ? .text(200, "Node found") : .text(404, "Node not found")
    default: return .text(200, "ok")
    }
  }

  private func certificate(_ headers: HTTPHeaders, _ body: [UInt8], peer: [UInt8]?) -> Answer {
    let node = headers.first(name: "NodeName") ?? ""
    if let peer {
      guard authority.accepts(clientCertificate: peer, ofNode: node) else {
        return .text(401, "failed to verify the certificate for edgenode: \(node)")
      }
    } else {
      let parts = (headers.first(name: "Authorization") ?? "").split(separator: " ", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[1].isEmpty else { return .text(401, "authorization failure: the token is missing or malformed") }
      guard authority.isValidJoinToken(parts[1]) else { return .text(401, "authorization failure: the token is invalid or has expired") }
    }
    guard body.count <= Self.bodyLimit else { return .text(500, "the request is larger than \(Self.bodyLimit) bytes") }
    var usages = [2]
    if let text = headers.first(name: "ExtKeyUsages") {
      guard let wanted = try? JSONValue(json: text).array?.compactMap({ $0.int.map { Int($0) } }) else {
        return .text(500, "the header ExtKeyUsages is no array of numbers")
      }
      usages = wanted
    }
    do {
      return Answer(status: 200, body: try authority.sign(request: body, usages: usages, life: certificateLife))
    } catch {
      return .text(500, "failed to sign the certificate for edgenode \(node): \(error)")
    }
  }
}
