import Core
import Curl
import LocalAPI
import Logging
import SQLite
import ServiceLifecycle
import YAML

/// The module that carries HTTP between applications on this node and the cloud, by the rules that the cluster's router has.
///
/// Applications post to a listener that is there while there is a rule with this node as its source; requests of the cloud's clients are
/// passed to applications that listen on this node's loopback. A query for the resource `servicebus` is answered with a
/// `ServiceBusSummary` as JSON.
public final class ServiceBus: Module {
  public let name = ModuleName.serviceBus
  public let group = ModuleGroup.bus

  /// The resource that people ask about how it stands.
  static let statusResource = "servicebus"
  /// The router, by its names of today and of 2019.
  private static let sources: Set<String> = ["router_servicebus", "router_rest"]

  private let configuration: ServiceBusConfiguration
  private let nodeName: String
  private let database: String
  private let channel: ChannelContext
  private let limits: BusLimits
  let status: ServiceBusStatus
  private let logger = Logger(label: "servicebus")

  /// - Parameters:
  ///   - nodeName: a name under which the node is known to those who call the listener.
  ///   - database: the agent's database file; the module's own is beside it.
  public convenience init(configuration: ServiceBusConfiguration, nodeName: String, database: String, channel: ChannelContext) {
    self.init(configuration: configuration, nodeName: nodeName, database: database, channel: channel, limits: BusLimits())
  }

  init(
    configuration: ServiceBusConfiguration, nodeName: String, database: String, channel: ChannelContext, limits: BusLimits
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.database = database
    self.channel = channel
    self.limits = limits
    status = ServiceBusStatus(configuration)
  }

  public func run() async throws {
    let targets = TargetURLs(limit: limits.targets, status: status, logger: logger)
    let store = try TargetStore(
      path: DatabaseFile.sibling(of: database, named: "servicebus"), inheriting: Inheritance(from: database, tables: ["target_urls"]))
    let client = HTTPClient()
    let calls = ApplicationCalls(channel: channel, client: client, limits: limits, status: status, logger: logger)
    let requests = LocalRequests(
      targets: targets, channel: channel, timeout: .seconds(configuration.timeout > 0 ? Int(configuration.timeout) : 30),
      access: LocalAccess(configuration, nodeName: nodeName), limits: limits, status: status)
    let listener = BusListener(configuration: configuration, requests: requests, limits: limits, status: status, logger: logger)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await targets.run(store, retry: self.limits.retry) }
      tasks.addTask { await listener.run(targets.need) }
      await cancelWhenGracefulShutdown {
        await withDiscardingTaskGroup { works in
          for await message in self.channel.messages(for: self.name) {
            if let work = self.take(message, targets, calls) { works.addTask { await work() } }
          }
          works.cancelAll()
        }
      }
      tasks.cancelAll()
    }
    await client.shutdown()
  }

  /// Takes a message; what takes time comes back as work to do.
  private func take(_ message: Message, _ targets: TargetURLs, _ calls: ApplicationCalls) -> (@Sendable () async -> Void)? {
    if message.header.sync {
      answer(message, targets)
      return nil
    }
    // Everybody on the buses gets everything, also late answers and news of the connection.
    guard message.parentID.isEmpty, Self.sources.contains(message.route.source) else { return nil }
    switch message.operation {
    case .start: targets.note(.allow(message.resource))
    case .stop: targets.note(.forbid(message.resource))
    default: return calls.take(message)
    }
    return nil
  }

  private func answer(_ query: Message, _ targets: TargetURLs) {
    let reply: Message
    if query.operation == .query, query.resource == Self.statusResource,
      let summary = try? JSONValue(encoding: status.summary(targets: targets.urls))
    {
      reply = .reply(to: query, from: name, content: summary.jsonBytes())
    } else {
      reply = .reply(
        to: query, from: name, operation: .error, content: MetadataError(.unavailable, "nothing here knows of \(query.resource)").content)
    }
    channel.respond(to: query, with: reply)
  }
}
