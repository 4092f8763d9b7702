import Core
import Curl
import Glibc
import KubernetesAPI
import Logging
import Runtime
import ServiceLifecycle
import Synchronization
import YAML

/// The node's pods and everything that works for them, on one container engine.
final class EdgedNode: Sendable {
  let runtime: any ContainerRuntime
  let view: RuntimeView
  let pods: PodTable
  let stats: StatsSampler
  let operations: PodOperations
  let events: EventRecorder
  /// The first of the addresses that the node publishes.
  let internalIP: String?
  private let configuration: EdgedConfiguration
  private let staticPods: StaticPodSource
  private let problems = Mutex<[ManifestProblem]>([])
  private let probeClient: HTTPClient
  private let metadata: MetadataClient?
  private let mirrors: MirrorPods?
  private let nodeObject: NodeObjectView
  private let agentVersion: String
  private let logger: Logger

  private static let relistInterval: Duration = .seconds(300)
  private static let collectionInterval: Duration = .seconds(60)

  init(runtime: any ContainerRuntime, configuration: EdgedConfiguration, metadata: MetadataClient?, agentVersion: String, logger: Logger)
    async throws
  {
    let kubelet = configuration.tailoredKubeletConfig
    let paths = NodePaths(root: configuration.rootDirectory, podLogs: kubelet.podLogsDir, containerLogs: configuration.containerLogsDir)
    try PodDirectories(paths: paths).prepareRoot()
    let name = try NodeMachine.nodeName(hostnameOverride: configuration.hostnameOverride)
    let resources = try NodeResources.read(root: paths.root, reservations: .init(kubelet))
    let hostIPs = Self.hostIPs(configuration, logger)
    let facts = NodeFacts(name: name, hostIPs: hostIPs, capacity: resources.capacity, allocatable: resources.allocatable)

    let hierarchy = try CgroupHierarchy.detect()
    let driver = try await runtime.cgroupDriver() ?? (kubelet.cgroupDriver == .systemd ? .systemd : .cgroupfs)
    let cgroups = PodCgroups(hierarchy: hierarchy, driver: driver, root: kubelet.cgroupRoot)
    let enforces = kubelet.enforceNodeAllocatable.contains("pods")
    try cgroups.ensureHierarchy(enforces ? resources.kubepodsLimits : CgroupLimits())

    self.runtime = runtime
    self.configuration = configuration
    self.metadata = metadata
    self.agentVersion = agentVersion
    self.logger = logger
    internalIP = hostIPs.first
    events = EventRecorder(node: name, logger: Logger(label: "edged.events"))
    view = RuntimeView(runtime: runtime, logger: logger)
    let probeClient = HTTPClient()
    self.probeClient = probeClient
    let table = Mutex<PodTable?>(nil)
    let probes = Probers(events: events, http: probeClient, runCommand: runtime.commandRunner) { change in
      // Called on the way of a probe; the worker has to be told without waiting for it.
      if let pods = table.withLock({ $0 }) { Task { await pods.wake(change.podUID) } }
    }
    let rules = ResourceRules(
      cpuCFSQuota: kubelet.cpuCFSQuota, cpuCFSQuotaPeriod: kubelet.cpuCFSQuotaPeriod.nanoseconds / 1000,
      cgroupV2: hierarchy.version == .v2, singleProcessOOMKill: kubelet.singleProcessOOMKill,
      swapAccounting: NodeMachine.swapAccounting(.init(hierarchy)), hugepageSizes: resources.hugepageSizes,
      memoryCapacity: resources.capacity["memory"]?.value ?? 0, podPidsLimit: kubelet.podPidsLimit)
    let blueprint = PodBlueprint(
      paths: paths, resources: rules,
      security: SecurityContextBuilder(
        seccompRoot: paths.seccomp, seccompDefault: configuration.usesSeccompDefault,
        thermalThrottlePaths: NodeMachine.thermalThrottlePaths()),
      clusterDNS: kubelet.clusterDNS, clusterDomain: kubelet.clusterDomain, resolvConf: kubelet.resolvConf, hostIPs: hostIPs)
    let registration = NodeObject.registration(
      name: name, configuration: configuration, architecture: NodeSystem.architecture(machine: NodeMachine.hardwareName()),
      status: NodeStatus())
    let nodeObject = NodeObjectView(name: name, registration: registration)
    self.nodeObject = nodeObject
    let admission = PodAdmission(
      node: nodeObject.traits, allocatable: facts.allocatable,
      sysctls: try SysctlAllowlist(unsafe: kubelet.allowedUnsafeSysctls, kernel: NodeMachine.kernelVersion()),
      hostHasAppArmor: access("/sys/module/apparmor/parameters/enabled", F_OK) == 0,
      engineSupportsGroupsPolicy: try await runtime.features().supplementalGroupsPolicy)
    let statuses = StatusStore()
    let reports = metadata.map { PodReports(client: $0, statuses: statuses, logger: logger) }
    if let metadata, let reports {
      mirrors = MirrorPods(client: metadata, reports: reports, logger: logger)
    } else {
      mirrors = nil
    }
    operations = PodOperations(
      runtime: runtime, turns: EngineTurns(parallel: 2 * max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))), view: view, node: facts,
      paths: paths,
      settings: PodSettings(
        maxContainerRestartPeriod: kubelet.crashLoopBackOff.maxContainerRestartPeriod.duration,
        deadContainersKept: Int(configuration.maxPerPodContainerCount)),
      events: events, statuses: statuses, reports: reports, probes: probes,
      hooks: LifecycleHooks(events: events, http: probeClient, runCommand: runtime.commandRunner),
      images: ImagePuller(
        service: runtime, events: events,
        nodeCredentials: NodeRegistryCredentials(root: paths.root, home: getenv("HOME").map { String(cString: $0) }),
        settings: .init(kubelet)),
      volumes: PodVolumes(paths: paths), objects: PodObjectSource(client: metadata, logger: logger), cgroups: cgroups, blueprint: blueprint,
      links: ContainerLogLinks(directory: paths.containerLogs), agentStarted: .now, logger: logger)
    let sources: Set<PodSource> = metadata == nil ? [.manifests] : [.manifests, .cloud]
    let pods = PodTable(
      operations: operations,
      admission: {
        var admission = admission
        admission.node = nodeObject.traits
        return admission
      }, sources: sources, logger: logger)
    table.withLock { $0 = pods }
    self.pods = pods
    stats = StatsSampler(pods: pods, operations: operations)
    staticPods = StaticPodSource(path: kubelet.staticPodPath, nodeName: name, checkInterval: kubelet.fileCheckFrequency.duration)
    logger.info(
      "node is ready for pods",
      metadata: [
        "node": "\(name)", "addresses": "\(hostIPs.joined(separator: ","))", "cgroups": "\(hierarchy.version.rawValue)",
        "cgroupDriver": "\(driver)", "staticPods": "\(kubelet.staticPodPath)",
      ])
  }

  /// Keeps pods as they are wished until the module is to stop.
  func run(channel: ChannelContext) async {
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await self.view.run(relistInterval: Self.relistInterval) }
      tasks.addTask { for await uid in self.view.changedPods { await self.pods.wake(uid) } }
      tasks.addTask { await self.operations.objects.run { await self.pods.wake($0) } }
      tasks.addTask { await self.followManifests() }
      tasks.addTask { await self.followCloud() }
      tasks.addTask { await self.collectGarbage() }
      tasks.addTask { await self.imageCollection().run() }
      tasks.addTask { await self.rotateLogs() }
      tasks.addTask { await self.answer(channel) }
      tasks.addTask {
        try? await gracefulShutdown()
        await self.pods.stop()
      }
      await pods.run()
      tasks.cancelAll()
    }
  }

  func shutdown() async {
    await operations.probes.shutdown()
    events.finish()
    await probeClient.shutdown()
  }

  /// What is wrong with manifests now.
  var manifestProblems: [ManifestProblem] { problems.withLock { $0 } }

  // MARK: What goes on

  private func followManifests() async {
    // Pods can only be adopted, or told to be orphans, once the engine has said what runs.
    await view.waitUntilListed()
    // Which pods the node takes depends on what the cluster made of it.
    if let metadata { await nodeObject.read(metadata) }
    for await snapshot in staticPods.snapshots() {
      let before = Set(manifestProblems)
      problems.withLock { $0 = snapshot.problems }
      for problem in snapshot.problems where !before.contains(problem) {
        logger.warning("a manifest can't be used", metadata: ["problem": "\(problem)"])
      }
      let wishes = snapshot.pods.map { WishedPod(pod: $0.pod, raw: $0.raw.jsonBytes(), source: .manifests) }
      await pods.wish(for: wishes, from: .manifests)
      await mirrors?.wish(for: wishes)
    }
  }

  private func followCloud() async {
    guard let metadata, let reports = operations.reports, let mirrors else { return }
    let name = operations.node.name
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await self.nodeObject.run(metadata) { self.pods.reconsider() } }
      tasks.addTask { await reports.run() }
      tasks.addTask { await mirrors.run() }
      tasks.addTask { await self.nodeReporter(metadata).run() }
      if self.configuration.reportEvent {
        tasks.addTask { await EventReports(client: metadata, events: self.events, logger: self.logger).run() }
      }
      tasks.addTask {
        // A pod that the node refuses has failed for good, so that has to be known first.
        await self.nodeObject.readWhenPossible(metadata)
        await CloudPods(
          client: metadata, nodeName: name, pods: self.pods, view: self.view, reports: reports, mirrors: mirrors, logger: self.logger
        ).run()
      }
    }
  }

  private func nodeReporter(_ metadata: MetadataClient) -> NodeReporter {
    let facts = operations.node
    let events = events
    return NodeReporter(
      client: metadata, name: facts.name, configuration: configuration, agentVersion: agentVersion, facts: { facts }, runtime: runtime,
      events: { type, reason, message in events.record(node: facts.name, type, reason: reason, message: message) }, logger: logger)
  }

  private func collectGarbage() async {
    var policy = ContainerGarbageCollection.Policy()
    policy.containersPerName = Int(configuration.maxPerPodContainerCount)
    policy.containers = Int(configuration.maxContainerCount)
    policy.minimumAge = configuration.minimumGCAge.duration
    let containers = ContainerGarbageCollection(runtime: runtime, paths: operations.paths, policy: policy, logger: logger)
    let leftovers = LeftoverCollection(operations: operations, logger: logger)
    while true {
      do { try await Task.sleep(for: Self.collectionInterval, tolerance: .seconds(5)) } catch { return }
      guard await pods.knowsAllWishes else { continue }
      await containers.collect(sourcesReady: true) { await self.pods.knownUIDs }
      await leftovers.collect { await self.pods.knownUIDs }
    }
  }

  private func imageCollection() -> ImageGarbageCollection {
    let kubelet = configuration.tailoredKubeletConfig
    var settings = ImageGarbageCollection.Settings()
    settings.highThresholdPercent = Int(kubelet.imageGCHighThresholdPercent)
    settings.lowThresholdPercent = Int(kubelet.imageGCLowThresholdPercent)
    settings.minimumAge = kubelet.imageMinimumGCAge.duration
    settings.maximumAge = kubelet.imageMaximumGCAge.duration
    settings.sandboxImage = configuration.podSandboxImage
    let logger = logger
    let surroundings = ImageGarbageCollection.Surroundings(runtime: runtime) { _, reason, message in
      logger.warning("node event", metadata: ["reason": "\(reason)", "message": "\(message)"])
    }
    return ImageGarbageCollection(service: runtime, settings: settings, surroundings: surroundings, logger: logger)
  }

  private func rotateLogs() async {
    let kubelet = configuration.tailoredKubeletConfig
    var settings = LogRotation.Settings()
    settings.maximumSize = Quantity(kubelet.containerLogMaxSize)?.value ?? settings.maximumSize
    settings.maximumFiles = Int(kubelet.containerLogMaxFiles)
    settings.interval = kubelet.containerLogMonitorInterval.duration
    await LogRotation(runtime: runtime, settings: settings, logger: logger).run {
      await self.view.all.flatMap(\.runningContainers).map { RunningLog(containerID: $0.id, path: $0.logPath) }
    }
  }

  private func answer(_ channel: ChannelContext) async {
    let queries = EdgedQueries(node: self)
    await withDiscardingTaskGroup { tasks in
      for await message in channel.messages(for: .edged) {
        // A slow engine must not keep other questions waiting.
        tasks.addTask { channel.respond(to: message, with: await queries.answer(message)) }
      }
    }
  }

  /// The addresses that a node of this configuration reports, the main one first.
  static func hostIPs(_ configuration: EdgedConfiguration, _ logger: Logger) -> [String] {
    do {
      return try HostAddresses.read(nodeIP: configuration.nodeIP, interface: configuration.customInterfaceName)
    } catch {
      logger.warning("the host has no address that others could reach; using 127.0.0.1", metadata: ["error": "\(error)"])
      return ["127.0.0.1"]
    }
  }
}

extension NodeResources.Reservations {
  fileprivate init(_ kubelet: KubeletConfiguration) {
    self.init()
    systemReserved = kubelet.systemReserved.compactMapValues { Quantity($0) }
    kubeReserved = kubelet.kubeReserved.compactMapValues { Quantity($0) }
    evictionHard = kubelet.evictionHard
    maxPods = Int64(kubelet.maxPods)
    podsPerCore = Int64(kubelet.podsPerCore)
  }
}

extension ImagePuller.Settings {
  fileprivate init(_ kubelet: KubeletConfiguration) {
    self.init()
    parallelPulls = kubelet.serializeImagePulls ? 1 : kubelet.maxParallelImagePulls > 0 ? Int(kubelet.maxParallelImagePulls) : nil
    pullsPerSecond = Double(kubelet.registryPullQPS)
    burst = Int(kubelet.registryBurst)
  }
}

extension NodeMachine.CgroupMounts {
  fileprivate init(_ hierarchy: CgroupHierarchy) {
    self = hierarchy.version == .v2 ? .v2(unified: hierarchy.unified ?? "/sys/fs/cgroup") : .v1(memory: hierarchy.mounts["memory"] ?? "")
  }
}
