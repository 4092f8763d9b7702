import KubernetesAPI
import Runtime
import YAML

/// The answer to `/stats/summary`, in the words of the kubelet's API `stats/v1alpha1`.
struct StatsSummary {
  var nodeName: String
  var sample: StatsSample
  /// nil: only processors and memory are asked for.
  var files: NodeFiles?
  var agentStarted: Timestamp

  var json: JSONValue {
    var node = Fields()
    node["nodeName"] = .string(nodeName)
    var system = [systemContainer("pods", sample.allPods.map(Self.cpuAndMemory), nanoCores: sample.allPodsNanoCores, start: bootTime)]
    system.append(
      systemContainer(
        "kubelet", (cpu: sample.agent.cpuNanoseconds, memory: Self.memory(of: sample.agent)), nanoCores: sample.agentNanoCores,
        start: agentStarted))
    node["systemContainers"] = .array(system.compactMap { $0 })
    node["startTime"] = time(bootTime)
    node["cpu"] = cpu(sample.node.cpuNanoseconds, sample.nodeNanoCores)
    node["memory"] = nodeMemory
    if let files {
      node["network"] = sample.network.map(network)
      node["fs"] = files.root.map { fileSystem($0, used: nil) }
      var runtime = Fields()
      runtime["imageFs"] = files.images.map { fileSystem($0, used: FileTreeUsage(bytes: files.imageBytes, inodes: files.imageInodes)) }
      runtime["containerFs"] = runtime["imageFs"]
      node["runtime"] = runtime.json
      node["rlimit"] =
        Fields([
          ("time", time(sample.time)), ("maxpid", .whole(sample.node.processLimit)), ("curproc", .whole(sample.node.processes)),
        ]).json
      node["swap"] =
        Fields([
          ("time", time(sample.time)), ("swapAvailableBytes", .whole(sample.node.swapFree)),
          ("swapUsageBytes", .whole(sample.node.swapTotal - min(sample.node.swapTotal, sample.node.swapFree))),
        ]).json
    }
    return Fields([("node", node.json), ("pods", .array(sample.pods.map(pod)))]).json
  }

  private var bootTime: Timestamp { Timestamp(seconds: sample.node.bootTime) }

  // MARK: Pods

  private func pod(_ use: StatsSample.PodUse) -> JSONValue {
    var pod = Fields()
    pod["podRef"] = Fields([("name", .string(use.name)), ("namespace", .string(use.namespace)), ("uid", .string(use.uid))]).json
    pod["startTime"] = time(use.startTime ?? sample.time)
    pod["containers"] = .array(use.containers.map { container($0, files?.pods[use.uid]) })
    pod["cpu"] = cpu(use.usage.cpuNanoseconds, use.nanoCores)
    pod["memory"] = memory(use.usage)
    pod["swap"] = swap(use.usage)
    if let files {
      pod["network"] = use.network.map(network)
      let own = files.pods[use.uid] ?? .init()
      if !own.volumes.isEmpty {
        pod["volume"] = .array(
          own.volumes.sorted { $0.key < $1.key }.map { name, volume in
            var fields = fileFields(volume.fileSystem, used: volume.used)
            fields["name"] = .string(name)
            return fields.json
          })
      }
      let layers = use.containers.compactMap { files.writableLayers[$0.id] }
      let parts = layers + own.logs.values + own.volumes.values.filter(\.isLocal).map(\.used)
      pod["ephemeral-storage"] = fileFields(files.root, used: parts.reduce(FileTreeUsage(), +)).json
      pod["process_stats"] = Fields([("process_count", .whole(use.usage.pids))]).json
    }
    return pod.json
  }

  private func container(_ use: StatsSample.Container, _ podFiles: NodeFiles.PodFiles?) -> JSONValue {
    var container = Fields()
    container["name"] = .string(use.name)
    container["startTime"] = time(use.startedAt)
    container["cpu"] = cpu(use.usage.cpuNanoseconds, use.nanoCores)
    container["memory"] = memory(use.usage)
    container["swap"] = swap(use.usage)
    if let files {
      container["rootfs"] = fileFields(files.images, used: files.writableLayers[use.id] ?? FileTreeUsage()).json
      container["logs"] = fileFields(files.root, used: podFiles?.logs[use.name] ?? FileTreeUsage()).json
    }
    return container.json
  }

  // MARK: Parts

  private func systemContainer(
    _ name: String, _ use: (cpu: UInt64, memory: [(String, JSONValue?)])?, nanoCores: UInt64?, start: Timestamp
  ) -> JSONValue? {
    guard let use else { return nil }
    return Fields([
      ("name", .string(name)), ("startTime", time(start)), ("cpu", cpu(use.cpu, nanoCores)),
      ("memory", Fields([("time", time(sample.time))] + use.memory).json),
    ]).json
  }

  private static func cpuAndMemory(_ usage: CgroupUsage) -> (cpu: UInt64, memory: [(String, JSONValue?)]) {
    (usage.cpuNanoseconds, memory(of: usage))
  }

  private static func memory(of usage: CgroupUsage) -> [(String, JSONValue?)] {
    [
      ("usageBytes", .whole(usage.memoryBytes)), ("workingSetBytes", .whole(usage.workingSetBytes)), ("rssBytes", .whole(usage.rssBytes)),
      ("pageFaults", .whole(usage.pageFaults)), ("majorPageFaults", .whole(usage.majorPageFaults)),
    ]
  }

  private static func memory(of usage: ProcessUsage) -> [(String, JSONValue?)] {
    [
      ("usageBytes", .whole(usage.residentBytes)), ("workingSetBytes", .whole(usage.residentBytes)),
      ("rssBytes", .whole(usage.anonymousBytes)),
    ]
  }

  private func cpu(_ nanoseconds: UInt64, _ nanoCores: UInt64?) -> JSONValue {
    Fields([
      ("time", time(sample.time)), ("usageNanoCores", nanoCores.map { .whole($0) }), ("usageCoreNanoSeconds", .whole(nanoseconds)),
    ]).json
  }

  private func memory(_ usage: CgroupUsage) -> JSONValue { Fields([("time", time(sample.time))] + Self.memory(of: usage)).json }

  private var nodeMemory: JSONValue {
    let node = sample.node
    return Fields([
      ("time", time(sample.time)), ("availableBytes", .whole(node.availableBytes)), ("usageBytes", .whole(node.memoryBytes)),
      ("workingSetBytes", .whole(node.workingSetBytes)), ("rssBytes", .whole(node.rssBytes)), ("pageFaults", .whole(node.pageFaults)),
      ("majorPageFaults", .whole(node.majorPageFaults)),
    ]).json
  }

  private func swap(_ usage: CgroupUsage) -> JSONValue? {
    usage.swapBytes.map { Fields([("time", time(sample.time)), ("swapUsageBytes", .whole($0))]).json }
  }

  private func network(_ usage: NetworkUsage) -> JSONValue {
    func fields(_ interface: NetworkUsage.Interface) -> [(String, JSONValue?)] {
      [
        ("name", .string(interface.name)), ("rxBytes", .whole(interface.receivedBytes)), ("rxErrors", .whole(interface.receiveErrors)),
        ("txBytes", .whole(interface.sentBytes)), ("txErrors", .whole(interface.sendErrors)),
      ]
    }
    return Fields(
      [("time", time(sample.time))] + (usage.main.map(fields) ?? [])
        + [("interfaces", .array(usage.interfaces.map { Fields(fields($0)).json }))]
    ).json
  }

  private func fileSystem(_ fileSystem: FileSystemUsage, used: FileTreeUsage?) -> JSONValue { fileFields(fileSystem, used: used).json }

  private func fileFields(_ fileSystem: FileSystemUsage?, used: FileTreeUsage?) -> Fields {
    Fields([
      ("time", time(files?.time ?? sample.time)), ("availableBytes", fileSystem.map { .whole($0.availableBytes) }),
      ("capacityBytes", fileSystem.map { .whole($0.capacityBytes) }),
      ("usedBytes", (used?.bytes ?? fileSystem?.usedBytes).map { .whole($0) }), ("inodesFree", fileSystem.map { .whole($0.freeInodes) }),
      ("inodes", fileSystem.map { .whole($0.inodes) }), ("inodesUsed", (used?.inodes ?? fileSystem?.usedInodes).map { .whole($0) }),
    ])
  }

  private func time(_ time: Timestamp) -> JSONValue { .string(time.description) }

  /// An object that leaves out what isn't known.
  private struct Fields {
    private var members: [(String, JSONValue)] = []

    init(_ fields: [(String, JSONValue?)] = []) {
      for case (let name, let value?) in fields { members.append((name, value)) }
    }

    subscript(name: String) -> JSONValue? {
      get { members.first { $0.0 == name }?.1 }
      set { if let newValue { members.append((name, newValue)) } }
    }

    var json: JSONValue { .object(members.map { .init($0.0, $0.1) }) }
  }
}

extension JSONValue {
  fileprivate static func whole(_ number: some BinaryInteger) -> JSONValue { .number(String(number)) }
}
