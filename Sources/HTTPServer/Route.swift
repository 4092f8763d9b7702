/// A method, a path with `{placeholders}` for single segments, and who answers.
public struct Route: Sendable {
  public enum Handler: Sendable {
    case respond(@Sendable (ServerRequest) async throws -> ServerResponse)
    /// Either answers, or makes the connection leave HTTP. The request needs an `Upgrade` header of any value for the latter.
    case takeOver(@Sendable (ServerRequest) async throws -> Takeover)
  }

  /// What becomes of a request that asks for another protocol.
  public enum Takeover: Sendable {
    case respond(ServerResponse)
    /// The connection is handed over with nothing answered yet, and closed when the function returns.
    case stream(@Sendable (StreamConnection) async throws -> Void)
  }

  public var method: String
  public var pattern: String
  public var handler: Handler
  private let segments: [Substring]

  public init(_ method: String, _ pattern: String, handler: Handler) {
    self.method = method
    self.pattern = pattern
    self.handler = handler
    self.segments = pattern.split(separator: "/")
  }

  public init(_ method: String, _ pattern: String, _ handler: @escaping @Sendable (ServerRequest) async throws -> ServerResponse) {
    self.init(method, pattern, handler: .respond(handler))
  }

  /// A route whose connection becomes a byte stream (`Upgrade: edgecore-stream`).
  public static func upgrade(
    _ method: String, _ pattern: String, _ handler: @escaping @Sendable (ServerRequest, StreamConnection) async throws -> Void
  ) -> Route {
    Route(
      method, pattern,
      handler: .takeOver { request in
        let wanted = HTTPServer.streamProtocol
        guard request.isUpgrade, request.headerTokens("Upgrade").contains(wanted) else {
          return .respond(.text("\(request.path) needs `Upgrade: \(wanted)`\n", status: 426))
        }
        return .stream { connection in
          try await connection.write(
            SwitchingProtocols(headers: [("Connection", "Upgrade"), ("Upgrade", wanted)]).bytes)
          try await handler(request, connection)
        }
      })
  }

  /// Answers whatever no other route answers: any method, any path.
  public static func everything(_ handler: @escaping @Sendable (ServerRequest) async throws -> ServerResponse) -> Route {
    Route("*", "*", handler: .respond(handler))
  }

  var isForEverything: Bool { method == "*" }

  /// What the placeholders stand for; nil if the path is another.
  func match(_ path: [String]) -> [String: String]? {
    guard path.count == segments.count else { return nil }
    var parameters: [String: String] = [:]
    for (segment, part) in zip(segments, path) {
      if segment.hasPrefix("{"), segment.hasSuffix("}") {
        parameters[String(segment.dropFirst().dropLast())] = part
      } else if segment != part {
        return nil
      }
    }
    return parameters
  }
}

/// The head of an answer with status 101, behind which the other protocol begins.
public struct SwitchingProtocols: Sendable {
  public var bytes: [UInt8]

  public init(headers: [(name: String, value: String)]) {
    bytes = Array(("HTTP/1.1 101 Switching Protocols\r\n" + headers.map { "\($0.name): \($0.value)\r\n" }.joined() + "\r\n").utf8)
  }
}

/// Finds the route of a request.
struct Router: Sendable {
  var routes: [Route]

  /// - Throws: `ServerError` 400 for a path that no name can be read from, 404 for an unknown path, 405 for a known path with another
  ///   method.
  func route(for request: inout ServerRequest) throws(ServerError) -> Route {
    let fallback = routes.first(where: \.isForEverything)
    // A slash inside a name could make one thing look like another further down.
    guard fallback != nil || request.segments.allSatisfy({ !$0.utf8.contains(0x2F) && !$0.utf8.contains(0) }) else {
      throw .badRequest("a name in the path has a slash or a zero byte")
    }
    var allowed: [String] = []
    for route in routes where !route.isForEverything {
      guard let parameters = route.match(request.segments) else { continue }
      if route.method == request.method {
        request.parameters = parameters
        return route
      }
      allowed.append(route.method)
    }
    if let fallback { return fallback }
    if allowed.isEmpty { throw .notFound("no such path: \(request.path)") }
    throw ServerError(
      status: 405, message: "\(request.method) is not allowed on \(request.path); allowed: \(allowed.joined(separator: ", "))")
  }
}
