import KubernetesAPI

/// Makes a node's status of what was observed.
struct NodeStatusBuilder: Sendable {
  var name: String
  /// The agent's version without a name: `1.2.0`.
  var agentVersion: String
  /// The most images; negative: all.
  var maximumImages: Int
  /// Whether a node without ephemeral storage is unfit.
  var needsEphemeralStorage = true

  /// The kubelet that the agent behaves like.
  static let kubernetesVersion = "v1.32.10"
  private static let maximumImageNames = 5

  /// - Parameters:
  ///   - previous: the status that the cloud has; devices that others told of stay in it, and so do the times of conditions' changes.
  func status(of observed: NodeObservation, previous: NodeStatus?, now: Timestamp) -> NodeStatus {
    var status = NodeStatus()
    status.capacity = observed.facts.capacity
    status.allocatable = observed.facts.allocatable
    for (resource, amount) in previous?.capacity ?? [:] where status.capacity?[resource] == nil && Self.isForeign(resource) {
      status.capacity?[resource] = amount
      status.allocatable?[resource] = previous?.allocatable?[resource] ?? amount
    }
    status.conditions = conditions(of: observed, previous: previous, now: now.truncatedToSeconds)
    status.addresses =
      observed.facts.hostIPs.map { NodeAddress(type: "InternalIP", address: $0) } + [NodeAddress(type: "Hostname", address: name)]
    status.nodeInfo = info(of: observed, previous: previous?.nodeInfo)
    if let images = observed.images, maximumImages != 0 { status.images = self.images(images) }
    if !observed.volumesInUse.isEmpty { status.volumesInUse = observed.volumesInUse.sorted() }
    if observed.engine.supplementalGroupsPolicy { status.features = NodeFeatures(supplementalGroupsPolicy: true) }
    return status
  }

  /// Whether somebody else tells how much of it the node has: devices have a domain in their names.
  static func isForeign(_ resource: String) -> Bool { resource.contains("/") }

  // MARK: Conditions

  private func conditions(of observed: NodeObservation, previous: NodeStatus?, now: Timestamp) -> [NodeCondition] {
    let pressure = observed.pressure
    var conditions = [
      NodeCondition(
        type: "MemoryPressure", status: pressure.memory,
        reason: pressure.memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
        message: pressure.memory ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available"),
      NodeCondition(
        type: "DiskPressure", status: pressure.disk, reason: pressure.disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
        message: pressure.disk ? "kubelet has disk pressure" : "kubelet has no disk pressure"),
      NodeCondition(
        type: "PIDPressure", status: pressure.processIDs,
        reason: pressure.processIDs ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
        message: pressure.processIDs ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available"),
      ready(observed),
    ]
    for index in conditions.indices {
      let before = previous?.condition(conditions[index].type)
      conditions[index].lastHeartbeatTime = now
      conditions[index].lastTransitionTime =
        before?.status == conditions[index].status ? before?.lastTransitionTime?.truncatedToSeconds ?? now : now
    }
    return conditions
  }

  private func ready(_ observed: NodeObservation) -> NodeCondition {
    var problems: [String] = []
    let needed = ["cpu", "memory", "pods"] + (needsEphemeralStorage ? ["ephemeral-storage"] : [])
    let missing = needed.filter { observed.facts.capacity[$0] == nil }
    for problem in observed.engine.problems + observed.problems where !problems.contains(problem) { problems.append(problem) }
    if !missing.isEmpty { problems.append("missing node capacity for resources: \(missing.joined(separator: ", "))") }
    guard let first = problems.first else {
      return NodeCondition(type: "Ready", status: true, reason: "EdgeReady", message: "edge is posting ready status")
    }
    return NodeCondition(
      type: "Ready", status: false, reason: "KubeletNotReady",
      message: problems.count == 1 ? first : "[\(problems.joined(separator: ", "))]")
  }

  // MARK: Versions

  private func info(of observed: NodeObservation, previous: NodeSystemInfo?) -> NodeSystemInfo {
    var info = NodeSystemInfo()
    info.machineID = observed.system.machineID
    info.systemUUID = observed.system.systemUUID
    info.bootID = observed.system.bootID
    info.kernelVersion = observed.system.kernelVersion
    info.osImage = observed.system.osImage
    info.containerRuntimeVersion =
      observed.engine.version.isEmpty
      ? previous?.containerRuntimeVersion ?? "" : "\(observed.engine.name)://\(Self.plainVersion(observed.engine.version))"
    let version = agentVersion.first?.isNumber == true ? "v\(agentVersion)" : agentVersion
    info.kubeletVersion = "\(Self.kubernetesVersion)-kubeedge-\(version)"
    info.kubeProxyVersion = version
    info.operatingSystem = "linux"
    info.architecture = observed.system.architecture
    return info
  }

  /// A version without what a distribution adds to it, unless that is a semantic version's own: `1.6.20~ds1` is `1.6.20`,
  /// `20.10.24+dfsg1` stays.
  static func plainVersion(_ text: String) -> String {
    let text = text.first == "v" ? text.dropFirst() : Substring(text)
    let numbers = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
    let parts = numbers.split(separator: ".")
    let rest = text.dropFirst(numbers.count)
    let isSemantic = parts.count == 3 && numbers.last != "." && (rest.isEmpty || rest.first == "-" || rest.first == "+")
    if isSemantic || parts.isEmpty { return String(text) }
    return parts.joined(separator: ".")
  }

  // MARK: Images

  private func images(_ images: [NodeObservation.Image]) -> [ContainerImage] {
    let sorted = images.sorted { ($1.bytes, $0.id) < ($0.bytes, $1.id) }
    return (maximumImages < 0 ? sorted[...] : sorted.prefix(maximumImages)).map { image in
      ContainerImage(names: Array((image.digests + image.tags).prefix(Self.maximumImageNames)), sizeBytes: image.bytes)
    }
  }
}
