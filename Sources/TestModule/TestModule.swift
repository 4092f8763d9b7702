import Core
import Curl
import HTTPServer
import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The module through which tests put objects into a node without a cloud, over HTTP on 127.0.0.1:12345.
///
/// What is put in goes the way of what the cloud sends, but is not acknowledged to it.
public final class TestModule: Module {
  public static let port = 12345

  public let name = ModuleName.testManager
  public let group = ModuleGroup.meta

  private let nodeName: String
  private let apiAddress: String
  private let apiPort: Int
  private let channel: ChannelContext
  private let port: Int
  private let retry: Backoff
  private let listening = Mutex<Int?>(nil)
  private let logger = Logger(label: "testmodule")

  /// - Parameters:
  ///   - apiAddress: where the node's own API listens.
  ///   - apiPort: its port; 0 if there is none.
  public convenience init(nodeName: String, apiAddress: String, apiPort: Int, channel: ChannelContext) {
    self.init(
      nodeName: nodeName, apiAddress: apiAddress, apiPort: apiPort, channel: channel, port: Self.port,
      retry: Backoff(initial: .milliseconds(500), maximum: .seconds(10)))
  }

  init(nodeName: String, apiAddress: String, apiPort: Int, channel: ChannelContext, port: Int, retry: Backoff) {
    self.nodeName = nodeName
    self.apiAddress = NodeAddress.isLoopback(apiAddress) ? apiAddress : "127.0.0.1"
    self.apiPort = apiPort
    self.channel = channel
    self.port = port
    self.retry = retry
  }

  /// The port that is listened on; nil: none.
  var listeningPort: Int? { listening.withLock { $0 } }

  public func run() async throws {
    let client = HTTPClient()
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await self.serve(client) }
      await cancelWhenGracefulShutdown {
        // Its group hears of the connection to the cloud, which is of no interest here.
        for await message in self.channel.messages(for: self.name) where message.header.sync { self.refuse(message) }
      }
      tasks.cancelAll()
    }
    await client.shutdown()
  }

  private func refuse(_ query: Message) {
    let error = MetadataError(.unavailable, "nothing here knows of \(query.resource)")
    channel.respond(to: query, with: .reply(to: query, from: name, operation: .error, content: error.content))
  }

  private func serve(_ client: HTTPClient) async {
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let injection = Injection(
      nodeName: nodeName, channel: channel, client: client,
      podsURL: apiPort > 0 ? "http://\(apiAddress.contains(":") ? "[\(apiAddress)]" : apiAddress):\(apiPort)/pods" : nil)
    let server = HTTPServer(
      address: .tcp(host: "127.0.0.1", port: port), routes: injection.routes, group: events, logger: logger)
    var backoff = retry
    var told = ""
    while !Task.isCancelled {
      do {
        try await server.run { port in
          listening.withLock { $0 = port }
          logger.warning(
            "every program on this node may start pods: modules.dbTest is for tests", metadata: ["address": "127.0.0.1:\(port ?? 0)"])
        }
      } catch is CancellationError {
      } catch {
        if "\(error)" != told {
          logger.error("tests can't be served; it is tried again", metadata: ["port": "\(port)", "error": "\(error)"])
        }
        told = "\(error)"
      }
      listening.withLock { $0 = nil }
      if !Task.isCancelled { try? await Task.sleep(for: backoff.next()) }
    }
    try? await events.shutdownGracefully()
  }
}
