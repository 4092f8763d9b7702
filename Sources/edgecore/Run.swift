import ArgumentParser
import CLinux
import Core
import DeviceTwin
import EdgeHub
import EdgeStream
import Edged
import EventBus
import FoundationEssentials
import Glibc
import LocalAPI
import LocalServer
import Logging
import MetaManager
import Metrics
import ServiceBus
import TestModule

/// Runs the agent until a signal ends it.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Runs the agent (the default).")

  @OptionGroup var source: ConfigurationOptions

  @Flag(help: "Prints the default configuration, with every key explained.")
  var defaultconfig = false

  @Flag(help: "Prints a configuration with the keys that most nodes need.")
  var minconfig = false

  var printsConfiguration: Bool { defaultconfig || minconfig }

  func run() throws {
    print(try defaultconfig ? ConfigurationText.defaultConfiguration() : ConfigurationText.minimalConfiguration(), terminator: "")
  }

  func start(_ signals: AsyncStream<Int32>) async throws {
    let loaded = try source.load()
    // Few arenas: each keeps memory that its thread once used.
    mallopt(M_ARENA_MAX, 2)
    mallopt(M_TRIM_THRESHOLD, 128 << 10)
    LogSystem.bootstrap(loaded.configuration.logging)
    let metrics = MetricsRegistry()
    MetricsSystem.bootstrap(metrics)
    let logger = Logger(label: "edgecore")
    logger.info("starting", metadata: ["version": "\(Version.text)", "configuration": "\(loaded.files.joined(separator: ","))"])
    let unread = loaded.tree.unknownKeys.map(\.key)
    if !unread.isEmpty {
      logger.info("the configuration has keys that nothing reads", metadata: ["keys": "\(unread.joined(separator: ", "))"])
    }

    let channel = ChannelContext()
    metrics.export(channel)
    let registry = ModuleRegistry()
    // In the order of their start; they stop in the reverse one.
    let modules = loaded.configuration.modules
    let nodeName = modules.edged.hostnameOverride
    if modules.edgeHub.enable {
      registry.add(
        EdgeHub(configuration: modules.edgeHub, nodeName: nodeName, configurationFiles: loaded.files, channel: channel))
    } else {
      registry.addDisabled(.websocket, group: .hub, reason: "modules.edgeHub.enable is false")
    }
    if modules.metaManager.enable {
      registry.add(
        MetaManager(
          path: loaded.configuration.database.dataSource, nodeName: nodeName, configuration: modules.metaManager, channel: channel))
    } else {
      registry.addDisabled(.metaManager, group: .meta, reason: "modules.metaManager.enable is false")
    }
    let metadata = modules.metaManager.enable ? MetadataClient(channel: channel, source: .edged) : nil
    let edged = Edged(configuration: modules.edged, channel: channel, metadata: metadata, agentVersion: Version.number) { metrics.text() }
    let twin = DeviceTwin(
      configuration: modules.deviceTwin, nodeName: nodeName, agentDatabase: loaded.configuration.database.dataSource, channel: channel)
    let server = LocalServer(
      socketPath: loaded.configuration.apiSocket, channel: channel, registry: registry, metrics: metrics,
      configuration: .init(text: loaded.summary, files: loaded.files), routes: edged.routes + twin.routes)
    if modules.edged.enable {
      registry.add(edged)
    } else {
      registry.addDisabled(.edged, group: .edged, reason: "modules.edged.enable is false")
    }
    if modules.edgeStream.enable {
      let kubelet = modules.edged.tailoredKubeletConfig
      registry.add(
        EdgeStream(
          configuration: modules.edgeStream, nodeName: nodeName, nodeAddress: { edged.internalIP }, apiAddress: kubelet.address,
          apiPort: Int(kubelet.readOnlyPort), channel: channel))
    } else {
      registry.addDisabled(.edgeStream, group: .edgeStream, reason: "modules.edgeStream.enable is false")
    }
    if modules.deviceTwin.enable {
      registry.add(twin)
    } else {
      registry.addDisabled(.twin, group: .twin, reason: "modules.deviceTwin.enable is false")
    }
    if modules.eventBus.enable {
      registry.add(
        EventBus(
          configuration: modules.eventBus, nodeName: nodeName, databasePath: loaded.configuration.database.dataSource, channel: channel))
    } else {
      registry.addDisabled(.eventBus, group: .bus, reason: "modules.eventBus.enable is false")
    }
    if modules.serviceBus.enable {
      registry.add(
        ServiceBus(
          configuration: modules.serviceBus, nodeName: nodeName, database: loaded.configuration.database.dataSource, channel: channel))
    } else {
      registry.addDisabled(.serviceBus, group: .bus, reason: "modules.serviceBus.enable is false")
    }
    if modules.dbTest.enable {
      let kubelet = modules.edged.tailoredKubeletConfig
      registry.add(TestModule(nodeName: nodeName, apiAddress: kubelet.address, apiPort: Int(kubelet.readOnlyPort), channel: channel))
    } else {
      registry.addDisabled(.testManager, group: .meta, reason: "modules.dbTest.enable is false")
    }
    registry.add(server)

    let host = ModuleHost(registry: registry, channel: channel, configuration: .init(loaded.configuration), logger: logger)
    let memory = Task { await ResidentMemory.keepSmall() }
    defer { memory.cancel() }
    try await host.run(signals: signals)
    logger.info("stopped")
  }
}

/// Where the configuration comes from.
struct ConfigurationOptions: ParsableArguments {
  @Option(help: "The configuration file. Default: \(ConfigurationLoader.defaultFile), else every .yaml and .yml below conf/.")
  var config: String?

  @Option(name: .customLong("set"), help: "One setting: modules.edged.hostnameOverride=edge-1. May be given several times.")
  var settings: [String] = []

  func load() throws -> LoadedConfiguration {
    var loader = ConfigurationLoader()
    loader.file = config
    loader.settings = settings
    loader.environment = ProcessInfo.processInfo.environment
    do {
      return try loader.load()
    } catch {
      throw ConfigurationFailure(description: "\(error)")
    }
  }
}

struct ConfigurationFailure: Error, CustomStringConvertible {
  var description: String
}
