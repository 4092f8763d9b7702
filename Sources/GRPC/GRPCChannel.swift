import Curl
import SwiftProtobuf

/// gRPC calls to one peer, in clear text.
///
/// A channel is a value without a connection of its own: libcurl keeps connections and puts concurrent calls on the same one.
public struct GRPCChannel: Sendable {
  public enum Target: Sendable, Hashable {
    case unixSocket(path: String)
    case address(host: String, port: Int)
  }

  /// Largest message that is received, in bytes.
  public static let messageLimit = 16 << 20

  public let http: HTTPClient
  public let target: Target

  public init(_ target: Target, http: HTTPClient) {
    self.target = target
    self.http = http
  }

  /// One request, one reply.
  /// - Parameters:
  ///   - service: With its package: `runtime.v1.RuntimeService`.
  ///   - timeout: The peer is told, and gives up by itself; nil waits for ever.
  /// - Throws: `GRPCError`, or `CancellationError` when the task is cancelled.
  public func unary<Reply: Message>(
    _ service: String, _ method: String, _ request: some Message, headers: [HTTPField] = [], timeout: Duration? = nil
  ) async throws -> Reply {
    let bytes = try await unary(service, method, Self.encode(request), headers: headers, timeout: timeout)
    return try Self.decode(bytes)
  }

  /// One request, one reply, as the bytes of their messages.
  public func unary(
    _ service: String, _ method: String, _ request: [UInt8], headers: [HTTPField] = [], timeout: Duration? = nil
  ) async throws -> [UInt8] {
    let response: HTTPResponse
    let body: [UInt8]
    do {
      response = try await http.execute(httpRequest(service, method, request, headers: headers, timeout: timeout))
      body = try await response.body.collect(upTo: Self.messageLimit + 5)
    } catch {
      throw Self.translate(error)
    }
    try GRPCStatus.check(httpStatus: response.status, headers: response.headers, trailers: response.body.trailers)
    var frames = GRPCFrames(limit: Self.messageLimit)
    frames.append(body)
    guard let message = try frames.next(), !frames.isIncomplete else {
      throw GRPCError(.internalError, "\(method) must be answered with one message, \(body.count) bytes came")
    }
    return message
  }

  /// One request, and replies until the peer ends them. Returns when the reply's head has arrived, which many servers, Go's among
  /// them, send no earlier than the first message.
  public func serverStream<Reply: Message>(
    _ service: String, _ method: String, _ request: some Message, headers: [HTTPField] = [], reply: Reply.Type = Reply.self
  ) async throws -> GRPCStream<Reply> {
    do {
      let response = try await http.execute(httpRequest(service, method, Self.encode(request), headers: headers, timeout: nil))
      return GRPCStream(response)
    } catch {
      throw Self.translate(error)
    }
  }

  private func httpRequest(_ service: String, _ method: String, _ message: [UInt8], headers: [HTTPField], timeout: Duration?)
    -> HTTPRequest
  {
    var fields = [HTTPField("content-type", "application/grpc"), HTTPField("te", "trailers")]
    fields.append(contentsOf: headers)
    if let timeout { fields.append(HTTPField("grpc-timeout", GRPCStatus.timeout(timeout))) }
    let authority: String
    let socket: String?
    switch target {
    case .unixSocket(let path):
      authority = "localhost"
      socket = path
    case .address(let host, let port):
      // An IPv6 address stands in brackets in a URL.
      authority = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
      socket = nil
    }
    var request = HTTPRequest(
      "POST", "http://\(authority)/\(service)/\(method)", headers: fields, body: .bytes(GRPCFrames.encode(message)),
      unixSocketPath: socket, version: .http2PriorKnowledge)
    // The peer ends the call by itself; a little later we do, if it hangs.
    request.timeout = timeout.map { $0 + .seconds(1) }
    request.connectTimeout = timeout.map { min($0, .seconds(5)) } ?? .seconds(5)
    return request
  }

  private static func encode(_ message: some Message) throws -> [UInt8] {
    do {
      return try message.serializedBytes()
    } catch {
      throw GRPCError(.internalError, "the request can't be encoded: \(error)")
    }
  }

  static func decode<Reply: Message>(_ bytes: [UInt8]) throws -> Reply {
    do {
      return try Reply(serializedBytes: bytes)
    } catch {
      throw GRPCError(.internalError, "the reply is no \(Reply.protoMessageName): \(error)")
    }
  }
}
