/// A connection that has left HTTP, and the reply that allowed it.
public struct HTTPUpgrade: Sendable {
  /// 101, or 2xx from engines that hijack without switching protocols.
  public var status: Int
  public var headers: [HTTPField]
  /// Its first bytes are those that came right behind the reply's head.
  public var connection: RawConnection

  /// The first header of that name.
  public func header(_ name: String) -> String? { headers.first(named: name) }
}

extension HTTPClient {
  /// Sends an HTTP/1.1 request on a connection of its own and takes the connection over when the reply is 101 or 2xx.
  ///
  /// `Host`, `Connection: Upgrade` and `Upgrade: tcp` are added unless the request has them. `timeout` ends with the reply's head.
  /// - Throws: `HTTPError.Kind.upgradeRefused` for any other status, `.invalidRequest` for a streamed body.
  public func upgrade(_ request: HTTPRequest) async throws -> HTTPUpgrade {
    guard let timeout = request.timeout else { return try await negotiate(request) }
    var untimed = request
    untimed.timeout = nil
    return try await withThrowingTaskGroup(of: HTTPUpgrade.self) { [untimed] group in
      group.addTask { try await self.negotiate(untimed) }
      group.addTask {
        try await Task.sleep(for: timeout)
        throw request.label.error(.timedOut, "no reply to the upgrade within \(timeout)")
      }
      defer { group.cancelAll() }
      guard let upgrade = try await group.next() else { throw CancellationError() }
      return upgrade
    }
  }

  private func negotiate(_ request: HTTPRequest) async throws -> HTTPUpgrade {
    let message = try UpgradeRequest(request).bytes
    let connection = try await connect(request)
    try await connection.write(message)
    var reply = UpgradeReply(request.label)
    while true {
      guard let bytes = try await connection.read() else {
        throw request.label.error(.connectionLost, "the peer closed the connection before it replied")
      }
      if let head = try reply.take(bytes) {
        guard head.status == 101 || (200..<300).contains(head.status) else {
          let body = await reply.errorBody(head, from: connection)
          await connection.close()
          throw request.label.error(.upgradeRefused(status: head.status, body: body))
        }
        if !reply.rest.isEmpty { connection.unread(Array(reply.rest)) }
        return HTTPUpgrade(status: head.status, headers: head.headers, connection: connection)
      }
    }
  }
}

/// The request as it goes over the wire.
private struct UpgradeRequest {
  let bytes: [UInt8]

  init(_ request: HTTPRequest) throws {
    try request.validate()
    let parts = URLParts(request.url)
    var lines = "\(request.method) \(parts.target) HTTP/1.1\r\n"
    var headers = request.headers.filter { $0.name.lowercased() != "content-length" }
    for (name, value) in [("Host", parts.authority), ("Connection", "Upgrade"), ("Upgrade", "tcp")]
    where headers.first(named: name) == nil {
      headers.append(HTTPField(name, value))
    }
    var body: [UInt8] = []
    switch request.body {
    case .none: break
    case .bytes(let bytes): body = bytes
    case .stream: throw request.label.error(.invalidRequest, "an upgrade's body can't be streamed")
    }
    if !body.isEmpty || request.method == "POST" { headers.append(HTTPField("Content-Length", "\(body.count)")) }
    for field in headers { lines += "\(field.name): \(field.value)\r\n" }
    bytes = Array(lines.utf8) + [0x0D, 0x0A] + body
  }
}

/// The reply while it comes in.
private struct UpgradeReply {
  private static let headLimit = 64 << 10
  private static let bodyLimit = 64 << 10

  private let label: RequestLabel
  private var parser = ResponseHeadParser(acceptsSwitchingProtocols: true)
  private var headSize = 0
  /// What came behind the lines that were parsed.
  private(set) var rest: ArraySlice<UInt8> = []

  init(_ label: RequestLabel) { self.label = label }

  /// The head once it is complete.
  mutating func take(_ bytes: [UInt8]) throws -> ResponseHeadParser.Head? {
    rest += bytes
    while parser.head == nil, let end = rest.firstIndex(of: 0x0A) {
      let line = rest[...end]
      guard headSize > 0 || line.starts(with: "HTTP/1.".utf8) else { throw label.error(.invalidResponse, "the reply isn't HTTP/1.1") }
      headSize += line.count
      line.withUnsafeBytes { parser.take(line: $0) }
      rest = rest[(end + 1)...]
    }
    guard headSize + (parser.head == nil ? rest.count : 0) <= Self.headLimit else {
      throw label.error(.invalidResponse, "the reply's head is larger than \(Self.headLimit) bytes")
    }
    return parser.head
  }

  /// As much of an ordinary response as there is; a connection that breaks here changes nothing.
  mutating func errorBody(_ head: ResponseHeadParser.Head, from connection: RawConnection) async -> String {
    let isChunked = head.headers.first(named: "Transfer-Encoding")?.lowercased().contains("chunked") == true
    let length = isChunked ? nil : head.headers.first(named: "Content-Length").flatMap { Int($0) }
    let wanted = min(length ?? Self.bodyLimit, Self.bodyLimit)
    while rest.count < wanted, !(isChunked && rest.suffix(5).elementsEqual("0\r\n\r\n".utf8)) {
      guard let more = try? await connection.read() else { break }
      rest += more
    }
    let body = isChunked ? Self.unchunked(rest) : rest
    return String(decoding: body.prefix(wanted), as: UTF8.self)
  }

  private static func unchunked(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var body: [UInt8] = []
    var rest = bytes
    while let end = rest.firstIndex(of: 0x0A) {
      let digits = rest[..<end].prefix { $0 != 0x0D && $0 != UInt8(ascii: ";") }
      guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size > 0 else { break }
      rest = rest[(end + 1)...]
      body += rest.prefix(size)
      // The line end behind the chunk.
      rest = rest.dropFirst(min(size, rest.count) + 2)
    }
    return body[...]
  }
}
