/// A method, a path with `{placeholders}` for single segments, and who answers.
public struct Route: Sendable {
  public enum Handler: Sendable {
    case respond(@Sendable (ServerRequest) async throws -> ServerResponse)
    /// The connection is upgraded to a stream of bytes (`Upgrade: edgecore-stream`) and handed over.
    case upgrade(@Sendable (ServerRequest, StreamConnection) async throws -> Void)
  }

  public var method: String
  public var pattern: String
  public var handler: Handler
  private let segments: [Substring]

  public init(_ method: String, _ pattern: String, _ handler: @escaping @Sendable (ServerRequest) async throws -> ServerResponse) {
    self.init(method, pattern, handler: .respond(handler))
  }

  /// A route whose connection becomes a byte stream.
  public static func upgrade(
    _ method: String, _ pattern: String, _ handler: @escaping @Sendable (ServerRequest, StreamConnection) async throws -> Void
  ) -> Route {
    Route(method, pattern, handler: .upgrade(handler))
  }

  private init(_ method: String, _ pattern: String, handler: Handler) {
    self.method = method
    self.pattern = pattern
    self.handler = handler
    self.segments = pattern.split(separator: "/")
  }

  /// What the placeholders stand for in `path`; nil if the path is another.
  func match(_ path: String) -> [String: String]? {
    let parts = path.split(separator: "/")
    guard parts.count == segments.count else { return nil }
    var parameters: [String: String] = [:]
    for (segment, part) in zip(segments, parts) {
      if segment.hasPrefix("{"), segment.hasSuffix("}") {
        parameters[String(segment.dropFirst().dropLast())] = String(part)
      } else if segment != part {
        return nil
      }
    }
    return parameters
  }
}

/// Finds the route of a request.
struct Router: Sendable {
  var routes: [Route]

  /// - Throws: `ServerError` 404 for an unknown path, 405 for a known path with another method.
  func route(for request: inout ServerRequest) throws(ServerError) -> Route {
    var allowed: [String] = []
    for route in routes {
      guard let parameters = route.match(request.path) else { continue }
      if route.method == request.method {
        request.parameters = parameters
        return route
      }
      allowed.append(route.method)
    }
    if allowed.isEmpty { throw .notFound("no such path: \(request.path)") }
    throw ServerError(
      status: 405, message: "\(request.method) is not allowed on \(request.path); allowed: \(allowed.joined(separator: ", "))")
  }
}
