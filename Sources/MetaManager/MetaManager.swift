import Core
import Logging
import SQLite
import ServiceLifecycle

/// The module that keeps the node's copy of what the cloud says.
///
/// What the cloud sends is stored, acknowledged and then told to those who watch. Questions of other modules are answered from the store, or
/// passed to the cloud. What the cloud is owed waits in the store until it was delivered.
public final class MetaManager: Module {
  public let name = ModuleName.metaManager
  public let group = ModuleGroup.meta

  /// Messages that go into one transaction at most.
  private static let batchSize = 256

  private let path: String
  private let nodeName: String
  private let configuration: MetaManagerConfiguration
  private let channel: ChannelContext
  private let logger = Logger(label: "metamanager")

  /// - Parameters:
  ///   - path: of the database file; its folder is made if need be.
  ///   - nodeName: pods for other nodes are refused.
  public init(path: String, nodeName: String, configuration: MetaManagerConfiguration, channel: ChannelContext) {
    self.path = path
    self.nodeName = nodeName
    self.configuration = configuration
    self.channel = channel
  }

  public func run() async throws {
    try DatabaseFile.prepareFolder(of: path)
    let store = try MetaStore(path: path)
    let writer = StoreWriter(store: store, logger: logger)
    try await writer.open()
    let publisher = ChangePublisher(channel: channel)
    let outbox = Outbox(store: store, channel: channel, logger: logger) { key, object in
      await writer.keep(key, object, publisher)
    }
    let inbox = CloudInbox(nodeName: nodeName, writer: writer, outbox: outbox, channel: channel, publisher: publisher, logger: logger)
    let remote = RemoteQueries(
      channel: channel, timeout: .seconds(Int64(configuration.remoteQueryTimeout)), writer: writer, publisher: publisher)
    let own = StoreAnswers(store: store, outbox: outbox, writer: writer)
    let answers = Answers(store: store, own: own, remote: remote, writer: writer)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await outbox.run() }
      tasks.addTask { await self.findConnection(outbox) }
      await cancelWhenGracefulShutdown {
        var messages = self.channel.messages(for: .metaManager).makeAsyncIterator()
        await withDiscardingTaskGroup { requests in
          while let batch = await messages.nextBatch(limit: Self.batchSize) {
            for request in await inbox.take(batch) {
              // The cloud may take its time; what comes after must not wait for it.
              requests.addTask { self.channel.respond(to: request, with: await answers.answer(request)) }
            }
          }
          requests.cancelAll()
        }
      }
      tasks.cancelAll()
    }
    await store.close()
  }

  /// How the connection is now: it may have been made before this run.
  private func findConnection(_ outbox: Outbox) async {
    if let connection = await CloudConnection.find(channel, for: name) { await outbox.connectionFound(connection) }
  }
}
