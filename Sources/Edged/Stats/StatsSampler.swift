import Core
import Glibc
import KubernetesAPI
import Runtime

/// Looks at what pods use when somebody asks, and not more often than it is worth: nothing is done while nobody asks.
///
/// CPU, memory and network come from the kernel. The sizes of files are counted at most once a minute, on a thread of their own. Who asks
/// again and again, as metrics servers do, gets what was seen after the question before at once.
actor StatsSampler {
  static let sampleAge = RememberedAge(fresh: .seconds(5), stale: .seconds(20))
  static let fileAge = RememberedAge(fresh: .seconds(60), stale: .seconds(180))

  private let pods: PodTable
  private let operations: PodOperations
  private var rates = CPURates()
  private let samples = Remembered<StatsSample>()
  private let files = Remembered<NodeFiles>()

  init(pods: PodTable, operations: PodOperations) {
    self.pods = pods
    self.operations = operations
  }

  // MARK: Processors, memory, network

  /// - Throws: `NodeMachine.Failure` if the kernel doesn't tell how the node is.
  nonisolated func sample(_ age: RememberedAge = sampleAge) async throws -> StatsSample {
    try await samples.value(age) { try await self.take() }
  }

  private func take() async throws -> StatsSample {
    let now = Timestamp.now
    let node = try NodeUsage.read()
    let agent = ProcessUsage.ofThisProcess()
    let allPods = try? operations.cgroups.usage()
    var sample = StatsSample(
      time: now, node: node, nodeNanoCores: rates.rate(of: "node", node.cpuNanoseconds, at: now), agent: agent,
      agentNanoCores: rates.rate(of: "agent", agent.cpuNanoseconds, at: now), allPods: allPods,
      allPodsNanoCores: allPods.flatMap { rates.rate(of: "pods", $0.cpuNanoseconds, at: now) }, network: NetworkUsage.ofNode(), pods: [])
    for wish in await pods.all where wish.pod.status?.phase?.isTerminal != true {
      if let use = await use(of: wish.pod) { sample.pods.append(use) }
    }
    rates.forgetOthers()
    return sample
  }

  private func use(of pod: Pod) async -> StatsSample.PodUse? {
    let cgroups = operations.cgroups
    let qos = QOSClass.of(pod).cgroup
    guard let usage = try? cgroups.usage(podUID: pod.uid, qos: qos), let record = await operations.view.record(of: pod.uid) else {
      return nil
    }
    let now = Timestamp.now
    let groups = cgroups.containerGroups(podUID: pod.uid, qos: qos)
    let containers = record.runningContainers.compactMap { container -> StatsSample.Container? in
      guard let group = groups.first(where: { $0.contains(container.id) }),
        let usage = try? cgroups.usage(podUID: pod.uid, qos: qos, group: group)
      else { return nil }
      return StatsSample.Container(
        name: container.name, id: container.id, image: container.image, startedAt: container.startedAt, usage: usage,
        nanoCores: rates.rate(of: container.id, usage.cpuNanoseconds, at: now))
    }
    var network: NetworkUsage?
    if pod.spec.hostNetwork != true {
      for group in groups where network == nil {
        guard let process = try? cgroups.processes(podUID: pod.uid, qos: qos, group: group).first else { continue }
        network = NetworkUsage.read(pid: process)
      }
    }
    return StatsSample.PodUse(
      name: pod.name, namespace: pod.namespace, uid: pod.uid, startTime: pod.status?.startTime, usage: usage,
      nanoCores: rates.rate(of: pod.uid, usage.cpuNanoseconds, at: now), network: network,
      containers: containers.sorted { $0.name < $1.name })
  }

  // MARK: Files

  /// What files take up.
  nonisolated func fileUsage() async throws -> NodeFiles {
    try await files.value(Self.fileAge) { try await self.count() }
  }

  private func count() async throws -> NodeFiles {
    let runtime = operations.runtime
    let paths = operations.paths
    let pods = await pods.all.map(\.pod)
    // Without the engine's answer the rest is still worth telling.
    let layers = (try? await runtime.listContainerStats(nil)) ?? []
    let images = (try? await runtime.imageFsInfo())?.imageFilesystems.first
    return try await OperatingSystemThread.run("file-usage") {
      var usage = NodeFiles(time: .now)
      usage.root = FileSystemUsage.read(paths.root)
      if let images {
        usage.images = FileSystemUsage.read(images.fsID.mountpoint)
        usage.imageBytes = images.usedBytes.value
        usage.imageInodes = images.inodesUsed.value
      }
      for layer in layers {
        usage.writableLayers[layer.attributes.id] = FileTreeUsage(
          bytes: layer.writableLayer.usedBytes.value, inodes: layer.writableLayer.inodesUsed.value)
      }
      for pod in pods { usage.pods[pod.uid] = NodeFiles.PodFiles(pod, paths) }
      return usage
    }
  }
}

extension ProcessUsage {
  static func ofThisProcess() -> ProcessUsage {
    var usage = ProcessUsage()
    var times = rusage()
    if getrusage(Int32(RUSAGE_SELF.rawValue), &times) == 0 {
      let microseconds =
        UInt64(times.ru_utime.tv_sec + times.ru_stime.tv_sec) * 1_000_000 + UInt64(times.ru_utime.tv_usec + times.ru_stime.tv_usec)
      usage.cpuNanoseconds = microseconds * 1000
    }
    for line in ((try? NodeMachine.read("/proc/self/status")) ?? "").split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard words.count > 1, let kilobytes = UInt64(words[1]) else { continue }
      if words[0] == "VmRSS:" { usage.residentBytes = kilobytes << 10 }
      if words[0] == "RssAnon:" { usage.anonymousBytes = kilobytes << 10 }
    }
    return usage
  }
}
