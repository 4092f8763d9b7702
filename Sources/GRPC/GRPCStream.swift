import Curl
import SwiftProtobuf

/// The replies of a server-streaming call. Ends when the peer ended the call with OK, throws a `GRPCError` otherwise; cancelling the
/// reader ends the call.
public struct GRPCStream<Reply: Message>: AsyncSequence, Sendable {
  public typealias Element = Reply

  private let response: HTTPResponse

  init(_ response: HTTPResponse) {
    self.response = response
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(response: response, chunks: response.body.makeAsyncIterator())
  }

  public struct AsyncIterator: AsyncIteratorProtocol {
    let response: HTTPResponse
    var chunks: HTTPResponseBody.AsyncIterator
    var frames = GRPCFrames(limit: GRPCChannel.messageLimit)

    init(response: HTTPResponse, chunks: HTTPResponseBody.AsyncIterator) {
      self.response = response
      self.chunks = chunks
    }

    public mutating func next() async throws -> Reply? {
      while true {
        if let message = try frames.next() { return try GRPCChannel.decode(message) }
        let chunk: [UInt8]?
        do {
          chunk = try await chunks.next()
        } catch {
          throw GRPCChannel.translate(error)
        }
        guard let chunk else {
          try GRPCStatus.check(httpStatus: response.status, headers: response.headers, trailers: response.body.trailers)
          return nil
        }
        frames.append(chunk)
      }
    }
  }
}
