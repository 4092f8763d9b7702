import Core
import LocalAPI
import Logging
import NIOPosix
import ServiceLifecycle
import YAML

/// The module that joins KubeEdge's cloudcore: it gets the node its certificate, keeps the connection, and passes messages both ways.
///
/// What is in its mailbox goes to the cloud. A request whose answer the cloud can't give, since it is away, is answered at once with the
/// operation `error` and a `MetadataError` of the kind `offline`; a one-way message is dropped then. What devices say (operation `upload`,
/// source `bus`) is given back to EventBus instead: operation `error`, the message as its parent, resource and content as they were. A request
/// that is such an upload, or an `upload` in answer to the cloud, is answered once it is sent. A query for the resource `cloud` is answered
/// with a `CloudSummary` as JSON.
public final class EdgeHub: Module {
  public let name = ModuleName.websocket
  public let group = ModuleGroup.hub

  /// The resource that people ask about how it stands.
  static let statusResource = "cloud"

  private let configuration: EdgeHubConfiguration
  private let nodeName: String
  private let channel: ChannelContext
  private let timing: HubTiming
  private let tokens: TokenSource
  private let status: HubStatus
  private let logger: Logger

  /// - Parameters:
  ///   - nodeName: the node's name in Kubernetes, `modules.edged.hostnameOverride`.
  ///   - configurationFiles: where a join token may stand; it is taken out of them once it has served.
  public convenience init(configuration: EdgeHubConfiguration, nodeName: String, configurationFiles: [String], channel: ChannelContext) {
    self.init(
      configuration: configuration, nodeName: nodeName, configurationFiles: configurationFiles, channel: channel, timing: HubTiming())
  }

  init(
    configuration: EdgeHubConfiguration, nodeName: String, configurationFiles: [String], channel: ChannelContext, timing: HubTiming
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.channel = channel
    self.timing = timing
    logger = Logger(label: "edgehub")
    tokens = TokenSource(
      token: configuration.token, bootstrapFile: configuration.bootstrapFile, configurationFiles: configurationFiles, logger: logger)
    status = HubStatus(server: configuration.websocket.server)
  }

  public func run() async throws {
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let announcer = Announcer(channel: channel)
    let enrollment = Enrollment(
      configuration: configuration, nodeName: nodeName, tokens: tokens, status: status, backoff: timing.enrollment, logger: logger)
    let link = CloudLink(
      configuration: configuration, nodeName: nodeName, timing: timing, channel: channel, enrollment: enrollment, status: status,
      announcer: announcer, group: events, logger: logger)
    await withTaskGroup(of: Bool.self) { tasks in
      let last = MessageID.make()
      tasks.addTask {
        await self.pump(link, until: last)
        return true
      }
      tasks.addTask {
        await link.run()
        return true
      }
      tasks.addTask {
        await self.stop(link, last)
        return false
      }
      tasks.addTask {
        await announcer.run()
        return false
      }
      // The pump and the link end by themselves when they have sent everything; the others only when time is up.
      var working = 2
      while working > 0, let isWork = await tasks.next(), isWork { working -= 1 }
      tasks.cancelAll()
    }
    try? await events.shutdownGracefully()
  }

  /// Returns when the time that is left at a graceful shutdown is up.
  private func stop(_ link: CloudLink, _ last: String) async {
    guard (try? await gracefulShutdown()) != nil else { return }
    link.hurry()
    // Behind everything that is in the mailbox now.
    let message = Message(
      header: .init(id: last), route: .init(source: name.rawValue, group: group.rawValue, operation: .stop, resource: Self.statusResource))
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await self.channel.send(message, to: self.name) }
      tasks.addTask { try? await Task.sleep(for: self.timing.drainLimit) }
      await tasks.waitForAll()
    }
  }

  /// Hands the mailbox's messages to the connection.
  private func pump(_ link: CloudLink, until last: String) async {
    for await message in channel.messages(for: name) {
      if message.id == last { break }
      if message.operation == .query, message.resource == Self.statusResource {
        answer(message)
      } else if let session = link.session, await session.submit(message) {
        continue
      } else if message.isDeviceUpload {
        await Session.giveBack(message, channel, status, "the cloud is away")
      } else if message.header.sync {
        Session.refuse(message, channel, "the cloud is away")
      } else {
        status.noteDropped()
      }
    }
    link.finish()
  }

  private func answer(_ query: Message) {
    let reply: Message
    do {
      reply = .reply(to: query, from: name, content: try JSONValue(encoding: status.summary).jsonBytes())
    } catch {
      reply = .reply(to: query, from: name, operation: .error, content: MetadataError(.unavailable, "\(error)").content)
    }
    channel.respond(to: query, with: reply)
  }
}
