import Core
import Synchronization
import Testing

@testable import MetaManager

/// Stands where EdgeHub does: keeps what goes to the cloud, and answers as a test wants.
final class FakeHub: Sendable {
  let channel = ChannelContext()
  private let sent = Mutex<[Message]>([])
  private let arrivals: AsyncStream<Message>
  private let arrival: AsyncStream<Message>.Continuation
  private let reply: @Sendable (Message) -> [UInt8]?

  /// - Parameter reply: the content of the cloud's answer to a request; nil leaves it without one.
  init(reply: @escaping @Sendable (Message) -> [UInt8]? = { _ in nil }) throws {
    self.reply = reply
    (arrivals, arrival) = AsyncStream.makeStream()
    try channel.register(.websocket, group: .hub)
    try channel.register(.metaManager, group: .meta)
    try channel.add(.metaManager, to: .connection)
  }

  /// What was sent so far, acknowledgements and requests.
  var messages: [Message] { sent.withLock { $0 } }

  /// Runs a MetaManager on the database while `body` runs.
  func run(_ path: String, timeout: Int32 = 60, _ body: @escaping @Sendable (MetadataClient) async throws -> Void) async throws {
    var configuration = MetaManagerConfiguration()
    configuration.remoteQueryTimeout = timeout
    let manager = MetaManager(path: path, nodeName: "edge-1", configuration: configuration, channel: channel)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await manager.run() }
      let hub = Task { await self.receive() }
      defer { hub.cancel() }
      try await body(MetadataClient(channel: channel, source: .edged))
      tasks.cancelAll()
      // The next run begins when this one has closed the file.
      for try await _ in tasks {}
    }
  }

  private func receive() async {
    for await message in channel.messages(for: .websocket) {
      if message.resource == "cloud" {
        channel.respond(to: message, with: .reply(to: message, content: Array(#"{"connected":false}"#.utf8)))
        continue
      }
      sent.withLock { $0.append(message) }
      arrival.yield(message)
      if message.header.sync, let content = reply(message) {
        let isError = (try? message.decodeContent(String.self)) == nil && content == FakeHub.offline
        channel.respond(to: message, with: .reply(to: message, operation: isError ? .error : .response, content: content))
      }
    }
  }

  static let offline = MetadataError(.offline, "there is no connection").content

  /// The next message to the cloud that is as wanted; the ones before it are skipped.
  func next(_ isWanted: @Sendable (Message) -> Bool) async throws -> Message {
    for await message in arrivals where isWanted(message) { return message }
    throw CancellationError()
  }

  /// What the cloud sends of its own accord.
  @discardableResult
  func push(
    _ operation: Message.Operation, _ resource: String, _ content: String, source: String = "edgecontroller", parent: String = ""
  ) async throws -> Message {
    let message = Message(
      header: .init(parentID: parent), route: .init(source: source, group: "resource", operation: operation, resource: resource),
      content: Array(content.utf8))
    try await channel.send(message, to: .metaManager)
    return message
  }
}
