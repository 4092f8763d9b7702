import NIOCore
import NIOHTTP1
import Synchronization

/// The requests of one connection and their answers, one after the other.
struct ConnectionExchange {
  let reader: PartReader
  let outbound: NIOAsyncChannelOutboundWriter<SentPart>
  let settle: @Sendable () async throws -> Void
  let end: OneTimeEvent
  let peer: @Sendable () async throws -> ServerRequest.Peer
  let router: Router
  let bodies: BodyRoom
  let refuse: @Sendable (BodyRefusal, ServerRequest) -> ServerResponse

  /// Bytes of a stream that may be written before their place in the channel is known.
  private static let settledSize = 256 << 10

  private enum Outcome {
    case answer(ServerResponse)
    case stream(@Sendable (StreamConnection) async throws -> Void)
  }

  /// Returns when there will be no more requests.
  func run() async throws {
    while let part = try await reader.next() {
      guard case .head(let head) = part else { continue }
      var place = bodies.place()
      defer { place.leave() }
      guard let body = try await readBody(&place) else { return }
      let request = ServerRequest(head, body: body, peer: try await peer(), end: end)
      let outcome: Outcome = if let refusal = place.refusal { .answer(refuse(refusal, request)) } else { await outcome(of: request) }
      switch outcome {
      case .stream(let handler):
        try await outbound.write(.leaveHTTP)
        return try await handler(StreamConnection(reader: reader, outbound: outbound, end: end))
      case .answer(let response):
        // The decoder has stopped behind a request to upgrade; what follows it is no HTTP.
        let isLast =
          !head.isKeepAlive || request.isUpgrade || head.method == .CONNECT || response.body.isStream || place.refusal != nil
        try await send(response, head, isLast: isLast)
        if isLast { return }
      }
    }
  }

  /// - Returns: nil if the peer has ended before; empty if there is no room for the body.
  private func readBody(_ place: inout BodyRoom.Place) async throws -> [UInt8]? {
    var bytes: [UInt8] = []
    while let part = try await reader.next() {
      switch part {
      case .body(let buffer):
        if place.take(buffer.readableBytes) { bytes += buffer.readableBytesView } else { bytes = [] }
      case .end: return bytes
      case .head, .bytes, .message: return nil
      }
    }
    return nil
  }

  private func outcome(of request: ServerRequest) async -> Outcome {
    var request = request
    do {
      switch try router.route(for: &request).handler {
      case .respond(let handler): return .answer(try await handler(request))
      case .takeOver(let handler):
        switch try await handler(request) {
        case .respond(let response): return .answer(response)
        case .stream(let body):
          guard request.isUpgrade else { return .answer(.text("Upgrade request required", status: 400)) }
          return .stream(body)
        }
      }
    } catch let error as ServerError {
      return .answer(.text(error.message + "\n", status: error.status))
    } catch {
      return .answer(.text("\(error)\n", status: 500))
    }
  }

  private func send(_ response: ServerResponse, _ request: HTTPRequestHead, isLast: Bool) async throws {
    var head = HTTPResponseHead(version: request.version, status: .init(statusCode: response.status))
    head.headers.add(name: "Content-Type", value: response.contentType)
    for (name, value) in response.headers { head.headers.add(name: name, value: value) }
    if isLast { head.headers.add(name: "Connection", value: "close") }
    switch response.body {
    case .bytes(let bytes):
      head.headers.add(name: "Content-Length", value: String(bytes.count))
      try await outbound.write(contentsOf: [.head(head), .body(ByteBuffer(bytes: bytes)), .end])
    case .stream(let produce):
      if request.version == .http1_1 { head.headers.add(name: "Transfer-Encoding", value: "chunked") }
      try await outbound.write(.head(head))
      let (outbound, settle) = (outbound, settle)
      let unsettled = Atomic(0)
      try await whilePeerStays(end) {
        try await produce(
          ResponseWriter { buffer in
            try await outbound.write(.body(buffer))
            guard unsettled.add(buffer.readableBytes, ordering: .relaxed).newValue >= Self.settledSize else { return }
            unsettled.store(0, ordering: .relaxed)
            try await settle()
          })
        try await outbound.write(.end)
      }
    }
  }
}

extension ServerResponse.Body {
  fileprivate var isStream: Bool { if case .stream = self { true } else { false } }
}

extension ServerRequest {
  fileprivate init(_ head: HTTPRequestHead, body: [UInt8], peer: Peer, end: OneTimeEvent) {
    self.init(
      method: head.method.rawValue, target: head.uri, headers: head.headers.map { ($0.name, $0.value) }, body: body, peer: peer,
      peerEnd: { await end.wait() })
  }
}
