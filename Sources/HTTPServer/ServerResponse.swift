/// An answer: in one piece or as a stream of chunks.
public struct ServerResponse: Sendable {
  public enum Body: Sendable {
    case bytes([UInt8])
    /// Sent chunked, each chunk at once, and behind it the connection is closed; the producer waits while the peer doesn't read. It ends when the function returns,
    /// and its task is cancelled when the peer goes away. An error breaks the connection off.
    case stream(@Sendable (ResponseWriter) async throws -> Void)
  }

  public var status: Int
  public var contentType: String
  /// Beyond those that every answer has.
  public var headers: [(name: String, value: String)] = []
  public var body: Body

  public init(status: Int = 200, contentType: String, body: Body) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  public static func json(_ bytes: [UInt8], status: Int = 200) -> ServerResponse {
    ServerResponse(status: status, contentType: "application/json", body: .bytes(bytes))
  }

  public static func text(_ text: String, status: Int = 200) -> ServerResponse {
    ServerResponse(status: status, contentType: "text/plain; charset=utf-8", body: .bytes(Array(text.utf8)))
  }
}

/// A request that can't be answered with success: becomes the status and a text body.
public struct ServerError: Error, Sendable, CustomStringConvertible {
  public var status: Int
  public var message: String

  public init(status: Int, message: String) {
    self.status = status
    self.message = message
  }

  public static func notFound(_ message: String) -> ServerError { ServerError(status: 404, message: message) }
  public static func badRequest(_ message: String) -> ServerError { ServerError(status: 400, message: message) }

  public var description: String { message }
}
