/// A connected byte stream: what an HTTP upgrade leaves behind.
///
/// One task may read while others write. At most about 256 KiB wait here unread, then the peer is made to wait. The last reference
/// closes the connection.
public final class RawConnection: Sendable {
  private let stream: RawStream
  /// A client without other references lives on while it has connections.
  private let client: HTTPClient

  init(_ stream: RawStream, client: HTTPClient) {
    self.stream = stream
    self.client = client
  }

  deinit { stream.abort(CancellationError()) }

  /// Waits for bytes, never empty; nil when the peer has ended its side. Cancelling loses nothing: the next call goes on.
  ///
  /// - Throws: `HTTPError`, or `CancellationError` when the task is cancelled.
  public func read() async throws -> [UInt8]? { try await stream.read() }

  /// Returns when the system has taken all bytes. Writes of several tasks don't mix. Cancelling in the middle closes the
  /// connection.
  ///
  /// - Throws: `HTTPError`, or `CancellationError` when the task is cancelled.
  public func write(_ bytes: [UInt8]) async throws { try await stream.write(bytes) }

  /// Ends our side behind what was written; reading goes on. TLS connections can't do this.
  public func closeWrite() async throws { try await stream.closeWrite() }

  /// Closes both sides at once; reads and writes that wait fail.
  public func close() async { await stream.close() }

  func unread(_ bytes: [UInt8]) { stream.unread(bytes) }
}
