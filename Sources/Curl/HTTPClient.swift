/// HTTP/1.1 and clear-text HTTP/2 over TCP and Unix sockets, all on one thread.
///
/// The thread starts with the first request, sleeps while nothing moves and ends with `shutdown()` or with the last reference to
/// the client, its response bodies and its raw connections. Redirects, proxies, cookies and `Expect: 100-continue` are left out.
/// HTTP/2 requests to one peer share one connection; HTTP/1.1 connections are kept for the next request. When a kept connection turns
/// out to be dead, the request goes over a new one, unless it is a POST or PATCH that may have arrived.
public final class HTTPClient: Sendable {
  let loop = MultiLoop()

  public init() {}

  deinit { loop.stop() }

  /// Sends the request and returns when the response's head has arrived. Cancelling the task aborts the transfer.
  ///
  /// - Throws: `HTTPError`, or `CancellationError` when the task is cancelled.
  public func execute(_ request: HTTPRequest) async throws -> HTTPResponse {
    try Task.checkCancellation()
    try request.validate()
    let transfer = Transfer(request, loop: loop)
    let head = try await transfer.start()
    return HTTPResponse(status: head.status, headers: head.headers, body: HTTPResponseBody(transfer, client: self))
  }

  /// Connects to a Unix socket without speaking HTTP.
  ///
  /// - Parameter connectTimeout: nil: 30 s.
  public func connect(unixSocketPath: String, connectTimeout: Duration? = nil) async throws -> RawConnection {
    var request = HTTPRequest("CONNECT", "http://localhost", unixSocketPath: unixSocketPath)
    request.connectTimeout = connectTimeout
    return try await connect(request)
  }

  /// Connects to a host (a name or an IP address) and port without speaking HTTP.
  ///
  /// - Parameter connectTimeout: nil: 30 s.
  public func connect(host: String, port: Int, connectTimeout: Duration? = nil) async throws -> RawConnection {
    let isBareIPv6 = host.contains(":") && !host.hasPrefix("[")
    var request = HTTPRequest("CONNECT", "http://\(isBareIPv6 ? "[\(host)]" : host):\(port)")
    request.connectTimeout = connectTimeout
    return try await connect(request)
  }

  /// Connects to where the request would go, with TLS for https.
  func connect(_ request: HTTPRequest) async throws -> RawConnection {
    try Task.checkCancellation()
    try request.validate()
    let stream = RawStream(request, loop: loop)
    try await stream.connect()
    return RawConnection(stream, client: self)
  }

  /// Fails everything under way with `HTTPError.Kind.clientShutdown`, closes all connections and waits for the thread's end.
  /// Later requests fail the same way.
  public func shutdown() async {
    await loop.shutdown()
  }
}
