/// The messages of a module, as they come in; ends when the module is unregistered, the task is cancelled or another consumer begins.
///
/// One consumer at a time: while there are messages, it takes one after the other without being suspended.
public struct Messages: AsyncSequence, Sendable {
  public typealias Element = Message
  public typealias Failure = Never
  let mailbox: Mailbox?

  public func makeAsyncIterator() -> Iterator { Iterator(mailbox: mailbox) }

  public struct Iterator: AsyncIteratorProtocol {
    let mailbox: Mailbox?

    public mutating func next() async -> Message? { await next(isolation: nil) }

    public mutating func next(isolation actor: isolated (any Actor)?) async -> Message? {
      guard case .message(let message)? = await mailbox?.receive() else { return nil }
      return message
    }

    /// Waits for a message, and takes with it those that are there already: at most `limit` together.
    public mutating func nextBatch(limit: Int, isolation actor: isolated (any Actor)? = #isolation) async -> [Message]? {
      guard let first = await next(isolation: actor) else { return nil }
      var batch = [first]
      while batch.count < limit, let message = mailbox?.poll() { batch.append(message) }
      return batch
    }
  }
}
