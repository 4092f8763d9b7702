import KubernetesAPI
import Runtime
import Testing
import YAML

@testable import Edged

struct NodeStatusBuilderTests {
  private let builder = NodeStatusBuilder(name: "edge-1", agentVersion: "1.2.0", maximumImages: 0)
  private let start = Timestamp(seconds: 1_700_000_000)

  private func status(_ previous: NodeStatus? = nil, at now: Timestamp? = nil, _ change: (inout NodeObservation) -> Void = { _ in })
    -> NodeStatus
  {
    var observation = NodeFixtures.observation
    change(&observation)
    return builder.status(of: observation, previous: previous, now: now ?? start)
  }

  @Test func aNodeThatIsWell() {
    let status = status()
    #expect(status.capacity == NodeFixtures.facts.capacity)
    #expect(status.allocatable == NodeFixtures.facts.allocatable)
    #expect(status.conditions?.map(\.type) == ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"])
    #expect(status.conditions?.map(\.status) == ["False", "False", "False", "True"])
    #expect(
      status.conditions?.map(\.reason)
        == ["KubeletHasSufficientMemory", "KubeletHasNoDiskPressure", "KubeletHasSufficientPID", "EdgeReady"])
    #expect(
      status.conditions?.map(\.message) == [
        "kubelet has sufficient memory available", "kubelet has no disk pressure", "kubelet has sufficient PID available",
        "edge is posting ready status",
      ])
    #expect(status.conditions?.allSatisfy { $0.lastHeartbeatTime == start && $0.lastTransitionTime == start } == true)
    #expect(
      status.addresses
        == [NodeAddress(type: "InternalIP", address: "192.0.2.7"), NodeAddress(type: "Hostname", address: "edge-1")])
    #expect(status.nodeInfo?.containerRuntimeVersion == "containerd://1.6.20")
    #expect(status.nodeInfo?.kubeletVersion == "v1.32.10-kubeedge-v1.2.0")
    #expect(status.nodeInfo?.kubeProxyVersion == "v1.2.0")
    #expect(status.nodeInfo?.operatingSystem == "linux")
    #expect(status.nodeInfo?.architecture == "arm64")
    #expect(status.nodeInfo?.bootID == "43d72035")
    #expect(status.images == nil && status.daemonEndpoints == nil && status.features == nil)
  }

  @Test func pressure() {
    let status = status { $0.pressure = NodePressure(memory: true, disk: true, processIDs: true) }
    #expect(status.conditions?.map(\.status) == ["True", "True", "True", "True"])
    #expect(
      status.conditions?.map(\.reason)
        == ["KubeletHasInsufficientMemory", "KubeletHasDiskPressure", "KubeletHasInsufficientPID", "EdgeReady"])
  }

  @Test func reasonsNotToBeReadyAreJoined() throws {
    let one = try #require(status { $0.engine.problems = ["container runtime is down"] }.condition("Ready"))
    #expect(one.status == "False")
    #expect(one.reason == "KubeletNotReady")
    #expect(one.message == "container runtime is down")
    let several = status { observation in
      observation.engine.problems = ["no network", "no network"]
      observation.problems = ["node is shutting down"]
      observation.facts.capacity["pods"] = nil
    }
    #expect(
      several.condition("Ready")?.message == "[no network, node is shutting down, missing node capacity for resources: pods]")
  }

  @Test func withoutStorageIsolationNoStorageIsNeeded() {
    var builder = builder
    builder.needsEphemeralStorage = false
    var observation = NodeFixtures.observation
    observation.facts.capacity["ephemeral-storage"] = nil
    #expect(builder.status(of: observation, previous: nil, now: start).condition("Ready")?.status == "True")
    #expect(status { $0.facts.capacity["ephemeral-storage"] = nil }.condition("Ready")?.status == "False")
  }

  @Test func transitionsKeepTheirTime() {
    let first = status()
    let later = start + .milliseconds(60_500)
    let second = status(first, at: later) { $0.engine.problems = ["down"] }
    #expect(second.condition("Ready")?.lastTransitionTime == later.truncatedToSeconds)
    #expect(second.condition("DiskPressure")?.lastTransitionTime == start)
    #expect(second.conditions?.allSatisfy { $0.lastHeartbeatTime == later.truncatedToSeconds } == true)
    let third = status(second, at: later + .seconds(10)) { $0.engine.problems = ["down for longer"] }
    #expect(third.condition("Ready")?.lastTransitionTime == later.truncatedToSeconds)
    var unknown = first
    unknown.conditions?[3].status = "Unknown"
    #expect(status(unknown, at: later).condition("Ready")?.lastTransitionTime == later.truncatedToSeconds)
  }

  @Test func devicesThatOthersToldOfStay() {
    var previous = status()
    previous.capacity?["example.com/camera"] = Quantity(value: 2)
    previous.capacity?["hugepages-64Ki"] = Quantity(value: 0)
    let status = status(previous)
    #expect(status.capacity?["example.com/camera"]?.value == 2)
    #expect(status.allocatable?["example.com/camera"]?.value == 2)
    #expect(status.capacity?["hugepages-64Ki"] == nil)
  }

  @Test(arguments: [(0, nil), (1, 1), (-1, 2), (5, 2)] as [(Int, Int?)])
  func images(maximum: Int, count: Int?) {
    var builder = builder
    builder.maximumImages = maximum
    var observation = NodeFixtures.observation
    observation.images = [
      .init(id: "a", digests: ["small@sha256:1"], tags: ["small:1"], bytes: 10),
      .init(id: "b", digests: ["big@sha256:2"], tags: (1...9).map { "big:\($0)" }, bytes: 20),
    ]
    let images = builder.status(of: observation, previous: nil, now: start).images
    #expect(images?.count == count)
    if let first = images?.first {
      #expect(first.names == ["big@sha256:2", "big:1", "big:2", "big:3", "big:4"])
      #expect(first.sizeBytes == 20)
    }
  }

  @Test func anEngineThatDoesNotAnswerKeepsItsVersion() {
    #expect(status(status()) { $0.engine.version = "" }.nodeInfo?.containerRuntimeVersion == "containerd://1.6.20")
  }

  @Test(arguments: [
    ("1.6.20~ds1", "1.6.20"), ("v1.7.2", "1.7.2"), ("20.10.24+dfsg1", "20.10.24+dfsg1"), ("2.0.0-rc.1", "2.0.0-rc.1"), ("24.0", "24.0"),
    ("1.7.2.m", "1.7.2"), ("unknown", "unknown"),
  ])
  func versions(text: String, plain: String) { #expect(NodeStatusBuilder.plainVersion(text) == plain) }

  @Test func whatTheEngineSays() {
    func condition(_ type: String, _ status: Bool) -> CRIRuntimeCondition {
      .with {
        $0.type = type
        $0.status = status
        $0.reason = "Why"
        $0.message = "for that"
      }
    }
    func problems(_ conditions: CRIRuntimeCondition...) -> [String] { NodeEngine.problems(.with { $0.conditions = conditions }) }
    #expect(problems(condition("RuntimeReady", true), condition("NetworkReady", true)).isEmpty)
    #expect(
      problems(condition("RuntimeReady", true), condition("NetworkReady", false))
        == ["container runtime network not ready: NetworkReady=false reason:Why message:for that"])
    #expect(
      problems(condition("RuntimeReady", false), condition("NetworkReady", true))
        == ["container runtime not ready: RuntimeReady=false reason:Why message:for that"])
    #expect(problems().count == 2)
  }
}

struct NodeStatusPatchTests {
  private let status = NodeStatusBuilder(name: "edge-1", agentVersion: "1.2.0", maximumImages: 5).status(
    of: NodeFixtures.observation, previous: nil, now: Timestamp(seconds: 1_700_000_000))

  private static let changes: [(differs: Bool, change: @Sendable (inout NodeStatus) -> Void)] = [
    (false, { _ in }),
    (false, { $0.conditions?[3].lastHeartbeatTime = Timestamp(seconds: 1) }),
    (false, { $0.conditions?.append(NodeCondition(type: "KernelDeadlock", status: false)) }),
    (false, { $0.daemonEndpoints = NodeDaemonEndpoints(kubeletEndpoint: DaemonEndpoint(port: 10351)) }),
    (false, { $0.capacity?["memory"] = Quantity(value: 24_684_096 * 1024) }),
    (false, { $0.images = [] }),
    (true, { $0.conditions?[3].lastTransitionTime = Timestamp(seconds: 1) }),
    (true, { $0.conditions?[3].status = "Unknown" }),
    (true, { $0.conditions?.removeFirst() }),
    (true, { $0.addresses = [] }),
    (true, { $0.capacity?["hugepages-1Gi"] = Quantity(value: 0) }),
    (true, { $0.allocatable = nil }),
    (true, { $0.nodeInfo?.kernelVersion = "6.2" }),
    (true, { $0.images = [ContainerImage(names: ["a"], sizeBytes: 1)] }),
    (true, { $0.volumesInUse = ["a"] }),
    (true, { $0.features = NodeFeatures(supplementalGroupsPolicy: true) }),
  ]

  @Test(arguments: changes.indices) func whatCounts(index: Int) {
    var known = status
    Self.changes[index].change(&known)
    #expect(NodeStatusPatch.differs(status, from: known) == Self.changes[index].differs)
  }

  @Test func isCompleteAndLeavesTheCloudsPartAlone() throws {
    var told = status
    told.daemonEndpoints = NodeDaemonEndpoints(kubeletEndpoint: DaemonEndpoint(port: 10350))
    told.volumesAttached = [AttachedVolume(name: "a")]
    let patch = try NodeStatusPatch.patch(to: told, known: nil)
    #expect(patch.object?.map(\.key) == ["status"])
    #expect(patch["status"]?.object?.map(\.key) == ["capacity", "allocatable", "conditions", "addresses", "nodeInfo"])
    #expect(
      patch["status"]?["conditions"]?.array?[3].jsonText()
        == #"{"type":"Ready","status":"True","lastHeartbeatTime":"2023-11-14T22:13:20Z","lastTransitionTime":"2023-11-14T22:13:20Z","#
        + #""reason":"EdgeReady","message":"edge is posting ready status"}"#)
    #expect(
      patch["status"]?["addresses"]?.jsonText()
        == #"[{"$patch":"replace"},{"type":"InternalIP","address":"192.0.2.7"},{"type":"Hostname","address":"edge-1"}]"#)
  }

  @Test func takesAwayWhatIsGone() throws {
    var known = status
    known.capacity?["hugepages-1Gi"] = Quantity(value: 0)
    known.allocatable?["hugepages-1Gi"] = Quantity(value: 0)
    known.images = [ContainerImage(names: ["a"], sizeBytes: 1)]
    known.volumesInUse = ["a"]
    known.features = NodeFeatures(supplementalGroupsPolicy: true)
    let patch = try NodeStatusPatch.patch(to: status, known: known)
    #expect(patch["status"]?["capacity"]?["hugepages-1Gi"] == .null)
    #expect(patch["status"]?["allocatable"]?["hugepages-1Gi"] == .null)
    #expect(patch["status"]?["capacity"]?["cpu"] == .string("2"))
    for key in ["images", "volumesInUse", "features"] { #expect(patch["status"]?[key] == .null) }
  }
}

struct NodeSystemTests {
  @Test(arguments: [
    ("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n", "Debian GNU/Linux 12 (bookworm)"), ("PRETTY_NAME=Alpine", "Alpine"),
    ("PRETTY_NAME='A B'", "A B"), ("", "Linux"), ("PRETTY_NAME=\"\"", "Linux"),
  ])
  func osImages(release: String, image: String) { #expect(NodeSystem.osImage(release: release) == image) }

  @Test(arguments: [
    ("x86_64", 64, "amd64"), ("x86_64", 32, "386"), ("aarch64", 64, "arm64"), ("aarch64", 32, "arm"), ("armv7l", 32, "arm"),
    ("armv6l", 32, "arm"), ("i686", 32, "386"), ("riscv64", 64, "riscv64"), ("s390x", 64, "s390x"), ("ppc64le", 64, "ppc64le"),
  ])
  func architectures(machine: String, bits: Int, name: String) {
    #expect(NodeSystem.architecture(machine: machine, bits: bits) == name)
  }

  @Test func readsThisMachine() throws {
    let system = NodeSystem.read()
    #expect(system.bootID.count == 36)
    #expect(KernelVersion(release: system.kernelVersion) > KernelVersion(major: 3, minor: 0))
    #expect(!system.osImage.isEmpty && !system.architecture.isEmpty)
    #expect(system.bootID == (try NodeMachine.read("/proc/sys/kernel/random/boot_id")).split(separator: "\n").first.map { String($0) })
  }

  @Test func readsFilesInTheirOrder() throws {
    let directory = VolumeTestDirectory()
    let root = directory.path
    for folder in ["var/lib/dbus", "etc", "device-tree"] { _ = try directory.directory(folder) }
    func write(_ path: String, _ text: String) throws { _ = try directory.file(path, text) }
    try write("var/lib/dbus/machine-id", "dbus\n")
    #expect(NodeSystem.read(proc: root, sys: root, root: root).machineID == "dbus")
    try write("etc/machine-id", " machine\n")
    #expect(NodeSystem.read(proc: root, sys: root, root: root).systemUUID == "machine")
    try write("device-tree/vm,uuid", "tree\u{0}\n")
    let system = NodeSystem.read(proc: root, sys: root, root: root)
    #expect(system.machineID == "machine")
    #expect(system.systemUUID == "tree")
    #expect(system.bootID.isEmpty)
    #expect(system.osImage == "Linux")
  }
}
