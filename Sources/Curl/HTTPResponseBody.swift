/// The chunks of a response's body; when they end, `trailers` are there.
///
/// The chunks can be read once. Dropping the body, or cancelling a task that waits for a chunk, ends the transfer: an HTTP/1.1
/// connection is closed, an HTTP/2 stream reset. Over HTTP/1.1 (and isolated HTTP/2) at most about 256 KiB wait here unread, then
/// the peer is made to wait. On a shared HTTP/2 connection the transfer fails with `HTTPError.Kind.bodyTooLarge` once 32 MiB
/// are unread, because its siblings must go on.
public struct HTTPResponseBody: AsyncSequence, Sendable {
  public typealias Element = [UInt8]

  /// The last reference ends the transfer.
  fileprivate final class Reader: Sendable {
    let transfer: Transfer
    /// A client without other references lives on until its bodies are read.
    let client: HTTPClient

    init(_ transfer: Transfer, client: HTTPClient) {
      self.transfer = transfer
      self.client = client
    }

    deinit { transfer.cancel() }
  }

  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate let reader: Reader

    /// The bytes that have come since the last call, never empty; nil at the end.
    ///
    /// - Throws: `HTTPError`, or `CancellationError` when the task is cancelled.
    public mutating func next() async throws -> [UInt8]? {
      try await reader.transfer.next()
    }
  }

  private let reader: Reader

  init(_ transfer: Transfer, client: HTTPClient) {
    reader = Reader(transfer, client: client)
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(reader: reader) }

  /// Reads the rest.
  ///
  /// - Throws: `HTTPError.Kind.bodyTooLarge` beyond `limit` bytes, and what `AsyncIterator.next()` throws.
  public func collect(upTo limit: Int) async throws -> [UInt8] {
    let transfer = reader.transfer
    var bytes: [UInt8] = []
    while let chunk = try await transfer.next() {
      guard bytes.count + chunk.count <= limit else {
        transfer.cancel()
        throw transfer.request.label.error(.bodyTooLarge(limit: limit))
      }
      if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
    }
    return bytes
  }

  /// Trailing fields; empty until the body has ended.
  public var trailers: [HTTPField] { reader.transfer.trailers }
}
