import Core
import Logging
import NIOPosix
import ServiceLifecycle
import YAML

/// The module that keeps a tunnel to KubeEdge's cloudcore, over which the cluster reaches the node's own API: `kubectl logs`, `exec`,
/// `attach` and `top`.
///
/// A query for the resource `tunnel` is answered with a `TunnelSummary` as JSON.
public final class EdgeStream: Module {
  public let name = ModuleName.edgeStream
  public let group = ModuleGroup.edgeStream

  /// The resource that people ask about how it stands.
  static let statusResource = "tunnel"

  private let configuration: EdgeStreamConfiguration
  private let nodeName: String
  private let nodeAddress: @Sendable () -> String?
  private let apiAddress: String
  private let apiPort: Int
  private let channel: ChannelContext
  private let limits: TunnelLimits
  private let status: TunnelStatus
  private let logger = Logger(label: "edgestream")

  /// - Parameters:
  ///   - nodeName: the node's name in Kubernetes.
  ///   - nodeAddress: the InternalIP that the node publishes; asked for each tunnel.
  ///   - apiAddress: where the node's own API listens; nothing else is ever connected to.
  ///   - apiPort: its port; 0 if there is none.
  public convenience init(
    configuration: EdgeStreamConfiguration, nodeName: String, nodeAddress: @escaping @Sendable () -> String?, apiAddress: String,
    apiPort: Int, channel: ChannelContext
  ) {
    self.init(
      configuration: configuration, nodeName: nodeName, nodeAddress: nodeAddress, apiAddress: apiAddress, apiPort: apiPort,
      channel: channel, limits: TunnelLimits())
  }

  init(
    configuration: EdgeStreamConfiguration, nodeName: String, nodeAddress: @escaping @Sendable () -> String?, apiAddress: String,
    apiPort: Int, channel: ChannelContext, limits: TunnelLimits
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.nodeAddress = nodeAddress
    self.apiAddress = apiAddress
    self.apiPort = apiPort
    self.channel = channel
    self.limits = limits
    status = TunnelStatus(server: configuration.server)
  }

  public func run() async throws {
    try channel.add(name, to: .connection)
    try channel.add(name, to: .registration)
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let hints = Hints()
    let registration = Registration()
    let link = TunnelLink(
      configuration: configuration, nodeName: nodeName, nodeAddress: nodeAddress,
      api: NodeAPI(address: apiAddress, port: apiPort, group: events), limits: limits, status: status, registration: registration,
      group: events, logger: logger)
    await withTaskGroup(of: Bool.self) { tasks in
      tasks.addTask {
        await self.listen(hints, registration)
        return false
      }
      tasks.addTask {
        await link.run(hints)
        return true
      }
      for await isLink in tasks where isLink { break }
      tasks.cancelAll()
    }
    try? await events.shutdownGracefully()
  }

  /// Takes what comes into the mailbox.
  private func listen(_ hints: Hints, _ registration: Registration) async {
    for await message in channel.messages(for: name) {
      if CloudConnection(message) == .connected {
        // Who is connected has a certificate.
        hints.give()
      } else if let node = NodeRegistration(message) {
        registration.note(uid: node.uid)
      } else if message.header.sync {
        answer(message)
      }
    }
  }

  private func answer(_ query: Message) {
    let reply: Message
    if query.operation == .query, query.resource == Self.statusResource, let summary = try? JSONValue(encoding: status.summary) {
      reply = .reply(to: query, from: name, content: summary.jsonBytes())
    } else {
      reply = .reply(
        to: query, from: name, operation: .error, content: MetadataError(.unavailable, "nothing here knows of \(query.resource)").content)
    }
    channel.respond(to: query, with: reply)
  }
}
