import Core
import Curl
import Glibc
import HTTPServer
import KubernetesAPI
import Logging
import Runtime
import ServiceLifecycle
import Synchronization

/// The module that runs pods.
///
/// It waits for a container engine, adopts what runs there already, and keeps the node's pods as they are wished until it is
/// stopped. Pods run on when it stops.
public final class Edged: Module {
  public let name = ModuleName.edged
  public let group = ModuleGroup.edged

  private let configuration: EdgedConfiguration
  private let channel: ChannelContext
  private let metadata: MetadataClient?
  private let agentVersion: String
  private let metrics: @Sendable () -> String
  private let logger = Logger(label: "edged")
  private let node = Mutex<EdgedNode?>(nil)

  /// - Parameters:
  ///   - metadata: where the pods of the cloud come from; nil for a node that runs static pods alone.
  ///   - agentVersion: the agent's version without a name: `1.2.0`.
  ///   - metrics: the agent's metrics in Prometheus' text format, to be served beside those of pods.
  public init(
    configuration: EdgedConfiguration, channel: ChannelContext, metadata: MetadataClient?, agentVersion: String,
    metrics: @escaping @Sendable () -> String
  ) {
    self.configuration = configuration
    self.channel = channel
    self.metadata = metadata
    self.agentVersion = agentVersion
    self.metrics = metrics
  }

  public func run() async throws {
    // Modes of files are set as they are meant, whatever started us.
    umask(0)
    let server = NodeAPIServer(
      configuration: configuration, node: { self.node.withLock { $0 } }, metrics: metrics, logger: Logger(label: "edged.api"))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await server.run() }
      defer { tasks.cancelAll() }
      try await runPods()
    }
  }

  private func runPods() async throws {
    let engineClient = HTTPClient()
    let runtime: any ContainerRuntime
    do {
      runtime = try await cancelWhenGracefulShutdown { try await self.findEngine(engineClient) }
    } catch {
      await engineClient.shutdown()
      if error is CancellationError { return }
      throw error
    }
    do {
      let node = try await EdgedNode(
        runtime: runtime, configuration: configuration, metadata: metadata, agentVersion: agentVersion, logger: logger)
      self.node.withLock { $0 = node }
      await node.run(channel: channel)
      self.node.withLock { $0 = nil }
      await node.shutdown()
    } catch {
      await runtime.shutdown()
      throw error
    }
    await runtime.shutdown()
  }

  private func findEngine(_ http: HTTPClient) async throws -> any ContainerRuntime {
    let kubelet = configuration.tailoredKubeletConfig
    let timeout = kubelet.runtimeRequestTimeout.duration
    let image = configuration.podSandboxImage
    let logSize = Quantity(kubelet.containerLogMaxSize)?.value ?? 10 << 20
    let logFiles = Int(kubelet.containerLogMaxFiles)
    let factory = EngineFactory(http: http, requestTimeout: timeout) { socketPath, http in
      DockerRuntime(
        socketPath: socketPath, http: http, requestTimeout: timeout, podSandboxImage: image, logMaxSize: logSize, logMaxFiles: logFiles)
    }
    // Left at its default, the setting doesn't keep Docker from being found.
    let isDefault = kubelet.containerRuntimeEndpoint == KubeletConfiguration().containerRuntimeEndpoint
    let discovery = RuntimeDiscovery(
      endpoint: isDefault ? nil : kubelet.containerRuntimeEndpoint, http: http, factory: factory)
    let told = Mutex("")
    let runtime = try await discovery.waitForEngine { attempts in
      let text = attempts.map { "\($0)" }.joined(separator: "; ")
      let isNew = told.withLock { told in
        defer { told = text }
        return told != text
      }
      if isNew { self.logger.warning("no container engine answers; waiting for one", metadata: ["tried": "\(text)"]) }
    }
    logger.info("using the container engine", metadata: ["engine": "\(runtime.scheme)", "endpoint": "\(runtime.endpoint)"])
    return runtime
  }

  /// The address that others know the node by: what it has published, or would publish now.
  public var internalIP: String? {
    node.withLock { $0 }?.internalIP ?? EdgedNode.hostIPs(configuration, logger).first
  }

  /// Answers that are streams, for the local server.
  public var routes: [Route] {
    EdgedStreams { [self] in
      guard let node = node.withLock({ $0 }) else {
        throw ServerError(status: 503, message: "edged isn't ready: it waits for a container engine")
      }
      return node
    }.routes
  }
}
