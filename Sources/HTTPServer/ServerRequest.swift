/// A request that arrived whole.
public struct ServerRequest: Sendable {
  /// Who sent it.
  public struct Peer: Sendable, Hashable {
    /// nil over a Unix socket.
    public var address: String?
    /// Whether it came over the loopback interface or a Unix socket.
    public var isOnThisHost: Bool
    /// The certificate that it showed, in DER; the chain up to a trusted authority was verified.
    public var certificate: [UInt8]?

    public init(address: String?, isOnThisHost: Bool, certificate: [UInt8]? = nil) {
      self.address = address
      self.isOnThisHost = isOnThisHost
      self.certificate = certificate
    }
  }

  public var method: String
  /// Without the query, percent-decoded.
  public var path: String
  /// The path's parts between slashes, each percent-decoded on its own; empty ones are left out.
  public var segments: [String]
  /// In order of appearance, percent-decoded.
  public var query: [(name: String, value: String)]
  /// What the route's `{placeholders}` stood for.
  public var parameters: [String: String] = [:]
  public var headers: [(name: String, value: String)]
  /// At most as many bytes as the server's limits allow.
  public var body: [UInt8]
  public var peer: Peer
  private let peerEnd: @Sendable () async -> Void

  /// Splits a request target into path and query.
  /// - Parameter peerEnd: returns when the peer has ended its side.
  public init(
    method: String, target: String, headers: [(name: String, value: String)], body: [UInt8],
    peer: Peer = Peer(address: nil, isOnThisHost: true), peerEnd: @escaping @Sendable () async -> Void = {}
  ) {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    self.method = method
    let path = parts.first ?? ""
    self.path = PercentEncoding.decode(path, plusIsSpace: false)
    self.segments = path.split(separator: "/").map { PercentEncoding.decode($0, plusIsSpace: false) }
    self.query =
      parts.count < 2
      ? []
      : parts[1].split(separator: "&").map { pair in
        let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (
          PercentEncoding.decode(sides[0], plusIsSpace: true),
          sides.count > 1 ? PercentEncoding.decode(sides[1], plusIsSpace: true) : ""
        )
      }
    self.headers = headers
    self.body = body
    self.peer = peer
    self.peerEnd = peerEnd
  }

  /// Returns when the peer has ended its side or is gone, or when the task is cancelled.
  public func waitUntilPeerEnds() async { await peerEnd() }

  /// The first value of a header; names compare without case.
  public func header(_ name: String) -> String? { headerValues(name).first }

  /// All values of a header.
  public func headerValues(_ name: String) -> [String] {
    let name = name.lowercased()
    return headers.filter { $0.name.lowercased() == name }.map(\.value)
  }

  /// The words of a header that is a list with commas, over all its lines, in lower case.
  public func headerTokens(_ name: String) -> [String] {
    headerValues(name).flatMap { $0.split(separator: ",") }
      .map { $0.trimmingSpaces.lowercased() }.filter { !$0.isEmpty }
  }

  /// Whether the peer asks for another protocol.
  public var isUpgrade: Bool { header("Upgrade") != nil && headerTokens("Connection").contains("upgrade") }

  /// The first value of a query item.
  public func queryValue(_ name: String) -> String? { query.first { $0.name == name }?.value }

  /// All values of a query item that may stand more than once.
  public func queryValues(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }

  /// Whether a query item is `true` or `1`.
  public func flag(_ name: String) -> Bool { ["true", "1"].contains(queryValue(name)) }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    guard let last = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return start[..<start.startIndex] }
    return start[...last]
  }
}

/// `%20` and, in queries, `+`.
public enum PercentEncoding {
  /// Decodes; a broken escape stays as it is.
  public static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x25, rest.count >= 2, let high = hexValue(rest[rest.startIndex]), let low = hexValue(rest[rest.startIndex + 1]) {
        bytes.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte == 0x2B && plusIsSpace ? 0x20 : byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
