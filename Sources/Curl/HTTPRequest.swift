/// One HTTP request over libcurl.
public struct HTTPRequest: Sendable {
  public var method: String
  /// Absolute, `http://` or `https://`. Over a Unix socket the host is only the `Host` header.
  public var url: String
  /// In order; a name may stand more than once. Names that libcurl adds by itself (`Accept`, `User-Agent`, `Expect`) are left
  /// out unless they are listed here.
  public var headers: [HTTPField]
  public var body: HTTPRequestBody
  /// Connect to this Unix socket instead of the URL's host.
  public var unixSocketPath: String?
  public var version: HTTPVersion
  public var tls: TLSOptions
  /// From the start until the connection stands. nil: 30 s.
  public var connectTimeout: Duration?
  /// From the start until the last byte of the response. nil: none.
  public var timeout: Duration?
  /// Uses a new connection and closes it afterwards.
  public var isolatesConnection: Bool

  public init(
    _ method: String, _ url: String, headers: [HTTPField] = [], body: HTTPRequestBody = .none, unixSocketPath: String? = nil,
    version: HTTPVersion = .http1
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.unixSocketPath = unixSocketPath
    self.version = version
    self.tls = TLSOptions()
    self.connectTimeout = nil
    self.timeout = nil
    self.isolatesConnection = false
  }
}

/// A header or trailer. Names compare without case.
public struct HTTPField: Sendable, Hashable {
  public var name: String
  public var value: String
  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

public enum HTTPVersion: Sendable, Hashable {
  case http1
  /// HTTP/2 in clear text without an upgrade (h2c): gRPC.
  case http2PriorKnowledge
}

public enum HTTPRequestBody: Sendable {
  case none
  case bytes([UInt8])
  /// Chunks of any size until the sequence ends; sent chunked, or as HTTP/2 data frames.
  case stream(AsyncStream<[UInt8]>)
}

/// Only for https.
public struct TLSOptions: Sendable, Hashable {
  public var verifiesPeer = true
  /// PEM files.
  public var caFile: String?
  public var certificateFile: String?
  public var privateKeyFile: String?
  public init() {}
}
