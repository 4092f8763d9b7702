import Core
import KubernetesAPI
import LocalAPI
import Logging
import MQTT
import SQLite
import ServiceLifecycle
import YAML

/// The module between MQTT and the rest: what devices say goes to the device twins and to the cloud, what both say goes to devices.
///
/// A query for the resource `mqtt` is answered with a `BusSummary` as JSON.
public final class EventBus: Module {
  public let name = ModuleName.eventBus
  public let group = ModuleGroup.bus

  /// The resource that people ask about how it stands.
  static let statusResource = "mqtt"

  private let configuration: EventBusConfiguration
  private let nodeName: String
  private let databasePath: String
  private let channel: ChannelContext
  private let timing: BusTiming
  private let status: BusStatus
  private let logger = Logger(label: "eventbus")

  /// - Parameters:
  ///   - nodeName: the node's name in Kubernetes.
  ///   - databasePath: of the agent's database; the module's own is beside it.
  public convenience init(configuration: EventBusConfiguration, nodeName: String, databasePath: String, channel: ChannelContext) {
    self.init(configuration: configuration, nodeName: nodeName, databasePath: databasePath, channel: channel, timing: BusTiming())
  }

  init(
    configuration: EventBusConfiguration, nodeName: String, databasePath: String, channel: ChannelContext, timing: BusTiming
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.databasePath = databasePath
    self.channel = channel
    self.timing = timing
    status = BusStatus(logger: Logger(label: "eventbus"))
  }

  public func run() async throws {
    noteOddities()
    let store = try BusStore(
      agentPath: databasePath,
      limits: .init(
        bytes: Int(clamping: Quantity(configuration.offlineQueue.maxSize)?.value ?? 64 << 20),
        age: configuration.offlineQueue.maxAge.nanoseconds / 1_000_000))
    if let damage = try await store.open() {
      logger.error("the database was damaged and is new now", metadata: ["reason": "\(damage.reason)", "setAside": "\(damage.setAside)"])
    }
    let uploader = Uploader(channel: channel, store: store, status: status, limits: timing.uploads, logger: logger)
    let broker = configuration.mode.hasInternal ? try startBroker() : nil
    let links = try makeLinks()
    let desk = BusDesk(
      nodeName: nodeName, links: links, store: store, uploader: uploader, status: status, channel: channel, broker: broker?.process,
      logger: logger)
    do {
      try await desk.subscribe()
      for link in links { try link.client.start() }
    } catch {
      await end(links)
      await broker?.stop()
      throw error
    }
    let routers = links.map { link in
      Task { await MessageRouter(link: link, uploader: uploader, status: status, channel: channel).run() }
    }
    await withTaskGroup(of: Bool.self) { tasks in
      for link in links {
        tasks.addTask {
          await link.watch { await desk.noteForgotten($0, by: link.name) }
          return false
        }
      }
      tasks.addTask {
        await uploader.run()
        return false
      }
      tasks.addTask {
        await desk.run()
        await uploader.mailboxEnded()
        return true
      }
      tasks.addTask {
        try? await gracefulShutdown()
        await self.end(links)
        await self.finish(routers)
        await uploader.stop()
        return true
      }
      // Either the module was asked to stop and has saved what it had, or its mailbox is gone.
      for await isEnd in tasks where isEnd { break }
      tasks.cancelAll()
    }
    await end(links)
    await finish(routers)
    await uploader.stop()
    await broker?.stop()
    await store.close()
  }

  private func noteOddities() {
    if EventBusConfiguration.Mode(rawValue: configuration.mqttMode) == nil {
      logger.warning(
        "modules.eventBus.mqttMode is not allowed, the internal broker is used",
        metadata: ["mode": "\(configuration.mqttMode)", "allowed": "0, 1, 2"])
    }
    if !configuration.mqttPubClientID.isEmpty, configuration.mqttPubClientID != configuration.mqttSubClientID {
      logger.info("modules.eventBus.mqttPubClientID is not used: one connection, with mqttSubClientID, serves both ways")
    }
  }

  /// Publishes what waits, and disconnects.
  private func end(_ links: [BrokerLink]) async {
    await withTaskGroup(of: Void.self) { tasks in
      for link in links { tasks.addTask { await link.client.stop(within: self.timing.stopLimit) } }
    }
  }

  /// Waits until everything that came is handed over: the brokers don't have it any more.
  private func finish(_ routers: [Task<Void, Never>]) async {
    let limit = Task {
      try await Task.sleep(for: timing.drainLimit)
      for router in routers { router.cancel() }
    }
    for router in routers { await router.value }
    limit.cancel()
  }

  // MARK: Brokers

  /// The broker's process, in a task that doesn't hear of a graceful shutdown: it ends after those that use it.
  private struct RunningBroker {
    let process: ChildProcess
    let task: Task<Void, Never>

    func stop() async {
      task.cancel()
      await task.value
    }
  }

  private func startBroker() throws -> RunningBroker {
    let broker = try InternalBroker(configuration: configuration, dataFolder: dataFolder)
    let process = ChildProcess(try broker.prepare(), logger: Logger(label: "eventbus"))
    return RunningBroker(process: process, task: Task.detached { try? await process.run() })
  }

  private var dataFolder: String {
    guard let slash = databasePath.lastIndex(of: "/") else { return "." }
    return String(databasePath[..<slash])
  }

  private func makeLinks() throws -> [BrokerLink] {
    var links: [BrokerLink] = []
    let clientID = configuration.mqttSubClientID.isEmpty ? "edgecore-\(nodeName)" : configuration.mqttSubClientID
    if configuration.mode.hasExternal {
      let address = try BrokerAddress(configuration.mqttServerExternal)
      var options = MQTTOptions(
        server: address.scheme == "unix" ? .unix(path: address.path) : .tcp(host: address.host, port: address.port), clientID: clientID)
      if !configuration.mqttUsername.isEmpty {
        options.user = configuration.mqttUsername
        options.password = configuration.mqttPassword.isEmpty ? nil : configuration.mqttPassword
      }
      if address.usesTLS {
        let tls = configuration.eventBusTLS
        options.security =
          tls.enable
          ? MQTTSecurity(caFile: tls.tlsMqttCAFile, certificateFile: tls.tlsMqttCertFile, keyFile: tls.tlsMqttPrivateKeyFile)
          : MQTTSecurity(verifies: false)
      }
      timing.adjust(&options)
      links.append(
        try BrokerLink(
          name: "external", server: "\(address)", options: options, qos: 1, isRetained: false, bursts: status.bursts, logger: logger))
    }
    if configuration.mode.hasInternal {
      let broker = try InternalBroker(configuration: configuration, dataFolder: dataFolder)
      var options = MQTTOptions(server: .unix(path: broker.socket), clientID: clientID)
      options.firstDelay = .milliseconds(100)
      timing.adjust(&options)
      links.append(
        try BrokerLink(
          name: "internal", server: "\(broker.address)", options: options, qos: configuration.mqttQOS, isRetained: configuration.mqttRetain,
          toleratedFailures: 5, bursts: status.bursts, logger: logger))
    }
    return links
  }
}

/// How long things may take, and how much may wait. Tests are in more of a hurry.
struct BusTiming: Sendable {
  var uploads = Uploader.Limits()
  /// For publications that wait when the module stops.
  var stopLimit: Duration = .seconds(1)
  /// For messages that have come when the module stops.
  var drainLimit: Duration = .seconds(3)
  var adjust: @Sendable (inout MQTTOptions) -> Void = { _ in }
}
