/// Contract; the implementation replaces this file.
public final class HTTPClient: Sendable {
  public init() {}
  /// Sends the request; returns when the response's head has arrived. Cancelling the task aborts the transfer.
  public func execute(_ request: HTTPRequest) async throws -> HTTPResponse { fatalError("contract") }
  /// Connects (Unix socket or `host:port`) without speaking HTTP.
  public func connect(unixSocketPath: String) async throws -> RawConnection { fatalError("contract") }
  public func connect(host: String, port: Int) async throws -> RawConnection { fatalError("contract") }
  public func shutdown() async {}
}

/// The chunks of a response's body; when they end, `trailers` are there.
public struct HTTPResponseBody: AsyncSequence, Sendable {
  public typealias Element = [UInt8]
  public struct AsyncIterator: AsyncIteratorProtocol {
    public mutating func next() async throws -> [UInt8]? { nil }
  }
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
  /// Reads the rest; throws HTTPError.bodyTooLarge beyond `limit` bytes.
  public func collect(upTo limit: Int) async throws -> [UInt8] { [] }
  /// Trailing fields; empty until the body has ended.
  public var trailers: [HTTPField] { [] }
}

/// A connected byte stream: what an HTTP upgrade leaves behind.
public final class RawConnection: Sendable {
  /// Waits for bytes; nil when the peer has ended its side.
  public func read() async throws -> [UInt8]? { nil }
  public func write(_ bytes: [UInt8]) async throws {}
  /// Ends our side, reading goes on.
  public func closeWrite() async throws {}
  public func close() async {}
}
