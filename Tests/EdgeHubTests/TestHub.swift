import CloudSimulator
import Core
import LocalAPI
import Logging
import ServiceLifecycle
import Testing
import YAML

@testable import EdgeHub

/// An EdgeHub with a folder for its files, and the modules around it that a test plays.
struct TestHub: Sendable {
  static let node = "edge-1"

  let folder: Folder
  let channel = ChannelContext()
  let hub: EdgeHub

  /// - Parameter token: what the configuration file has at the start.
  init(
    _ cloud: CloudSimulator, token: String, folder: Folder? = nil,
    adjust: (inout EdgeHubConfiguration, inout HubTiming) -> Void = { _, _ in }
  )
    throws
  {
    let folder = try folder ?? Folder()
    self.folder = folder
    var configuration = EdgeHubConfiguration()
    configuration.httpServer = cloud.httpServer
    configuration.websocket.server = cloud.websocketServer
    configuration.tlsCaFile = folder.file("ca.crt")
    configuration.tlsCertFile = folder.file("node.crt")
    configuration.tlsPrivateKeyFile = folder.file("node.key")
    configuration.bootstrapFile = folder.file("bootstrap")
    configuration.token = token
    configuration.heartbeat = 1
    var timing = HubTiming()
    timing.enrollment = Backoff(initial: .milliseconds(50), maximum: .milliseconds(200))
    timing.renewal = Backoff(initial: .milliseconds(50), maximum: .milliseconds(200))
    timing.reconnection = .milliseconds(50)
    adjust(&configuration, &timing)
    try Self.write(token: token, folder)
    hub = EdgeHub(
      configuration: configuration, nodeName: Self.node, configurationFiles: [folder.file("edgecore.yaml")], channel: channel,
      timing: timing)
    try channel.register(.websocket, group: .hub)
    try channel.register(.metaManager, group: .meta)
  }

  static func write(token: String, _ folder: Folder) throws {
    let text = "# The node's configuration.\nmodules:\n  edgeHub:\n    token: \"\(token)\" # secret\n    heartbeat: 1\n"
    try DurableFile.replace(folder.file("edgecore.yaml"), Array(text.utf8), mode: 0o644)
  }

  /// Runs the hub while `body` runs, and stops it gracefully.
  @discardableResult
  func run<T: Sendable>(_ body: @escaping @Sendable (TestHub) async throws -> T) async throws -> T {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [hub], logger: logger)
    return try await withThrowingTaskGroup(of: T?.self) { tasks in
      tasks.addTask {
        try? await group.run()
        return nil
      }
      do {
        let value = try await body(self)
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        return value
      } catch {
        Issue.record("\((try? await summary()).map { "\($0)" } ?? "no status"): \(error)")
        await group.triggerGracefulShutdown()
        throw error
      }
    }
  }

  func summary() async throws -> CloudSummary {
    let query = Message(route: .init(source: "test", group: "hub", operation: .query, resource: "cloud"))
    return try await channel.request(query, to: .websocket, timeout: .seconds(20)).decodeContent()
  }

  /// Waits until the status is as it should be.
  @discardableResult
  func summary(where fits: (CloudSummary) -> Bool) async throws -> CloudSummary {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let summary = try await summary()
      if fits(summary) { return summary }
      guard ContinuousClock.now < deadline else { throw MetadataError(.timeout, "the status stayed \(summary)") }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @discardableResult
  func connected(times count: Int = 1) async throws -> CloudSummary {
    try await summary { $0.connected && $0.connections >= count }
  }

  /// Waits for an error in the status.
  func error(_ part: String) async throws {
    try await summary { $0.errors.contains { $0.contains(part) } }
  }

  func message(
    _ operation: Message.Operation, _ resource: String, _ content: String = "null", source: String = "metamanager"
  ) -> Message {
    Message(route: .init(source: source, group: "resource", operation: operation, resource: resource), content: Array(content.utf8))
  }

  /// The next message to MetaManager that is no news of the connection.
  func nextForMetaManager() async throws -> Message {
    while true {
      let message = try await channel.receive(.metaManager)
      if CloudConnection(message) == nil { return message }
    }
  }

  func nextConnectionChange() async throws -> CloudConnection {
    while true {
      if let change = CloudConnection(try await channel.receive(.metaManager)) { return change }
    }
  }
}

/// A cloud for one test.
func withCloud<T: Sendable>(
  _ adjust: (inout CloudSimulator.Configuration) -> Void = { _ in }, _ body: (CloudSimulator) async throws -> T
) async throws -> T {
  var configuration = CloudSimulator.Configuration()
  adjust(&configuration)
  let cloud = try await CloudSimulator.start(configuration)
  do {
    let value = try await body(cloud)
    await cloud.shutdown()
    return value
  } catch {
    await cloud.shutdown()
    throw error
  }
}
