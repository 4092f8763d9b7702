import Glibc
import KubernetesAPI
import Logging
import Runtime
import Testing

@testable import Edged

@Suite struct GarbageCollectionTests {
  /// Seconds to the engine's nanoseconds.
  private static func container(
    _ id: String, pod: String, name: String = "c", created: Int64, _ state: CRIContainerState = .containerExited, attempt: UInt32 = 0,
    sandbox: String = "s"
  ) -> CRIContainer {
    var container = CRIContainer()
    container.id = id
    container.createdAt = created * 1_000_000_000
    container.state = state
    container.metadata.name = name
    container.metadata.attempt = attempt
    container.podSandboxID = sandbox
    container.labels = [
      RuntimeLabel.podUID: pod, RuntimeLabel.podName: "name-" + pod, RuntimeLabel.podNamespace: "ns", RuntimeLabel.containerName: name,
    ]
    return container
  }

  private static func sandbox(_ id: String, pod: String, created: Int64, ready: Bool = false) -> CRIPodSandbox {
    var sandbox = CRIPodSandbox()
    sandbox.id = id
    sandbox.createdAt = created * 1_000_000_000
    sandbox.state = ready ? .sandboxReady : .sandboxNotready
    if !pod.isEmpty { sandbox.labels = [RuntimeLabel.podUID: pod] }
    return sandbox
  }

  struct Rule: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var perName = 1
    var total = -1
    var minimumAge = 0
    var known: Set<String>? = ["u1", "u2"]
    var containers: [CRIContainer]
    var removed: [String]
  }

  private static let several = [
    container("a1", pod: "u1", created: 1), container("a2", pod: "u1", created: 2), container("a3", pod: "u1", created: 3),
    container("b1", pod: "u2", created: 4), container("b2", pod: "u2", name: "d", created: 5), container("b3", pod: "u2", created: 6),
  ]

  static let rules = [
    Rule(testDescription: "keeps the newest of each name", containers: several, removed: ["a1", "a2", "b1"]),
    Rule(testDescription: "keeps none", perName: 0, containers: several, removed: ["a1", "a2", "a3", "b1", "b2", "b3"]),
    Rule(testDescription: "keeps all", perName: -1, containers: several, removed: []),
    Rule(testDescription: "keeps two", perName: 2, containers: several, removed: ["a1"]),
    Rule(testDescription: "takes all of pods that are gone", known: ["u2"], containers: several, removed: ["a1", "a2", "a3", "b1"]),
    Rule(testDescription: "takes no pod for gone while that isn't known", known: nil, containers: several, removed: ["a1", "a2", "b1"]),
    Rule(
      testDescription: "limits the total, the same for each name", perName: -1, total: 3, containers: several, removed: ["a1", "a2", "b1"]),
    Rule(testDescription: "limits the total, eldest first", perName: -1, total: 2, containers: several, removed: ["a1", "a2", "a3", "b1"]),
    Rule(
      testDescription: "limits the total to none", perName: 1, total: 0, containers: several, removed: ["a1", "a2", "a3", "b1", "b2", "b3"]),
    Rule(testDescription: "spares the young", perName: 0, minimumAge: 97, containers: several, removed: ["a1", "a2", "a3"]),
    Rule(
      testDescription: "never takes what runs",
      perName: 0,
      containers: [
        container("1", pod: "u1", created: 1), container("2", pod: "u1", created: 2, .containerRunning),
        container("3", pod: "gone", created: 3, .containerRunning), container("4", pod: "gone", name: "d", created: 3),
      ], removed: ["1", "4"]),
    Rule(
      testDescription: "takes what was created only if something newer took its place",
      perName: 0,
      containers: [
        container("1", pod: "u1", created: 1, .containerCreated), container("2", pod: "u1", created: 2, .containerUnknown),
        container("3", pod: "u2", created: 3, .containerCreated),
      ], removed: ["1", "2"]),
    Rule(
      testDescription: "leaves others' containers alone",
      perName: 0, known: [],
      containers: [container("1", pod: "", created: 1), container("2", pod: "u1", name: "", created: 1), CRIContainer()], removed: []),
  ]

  @Test(arguments: rules)
  func selectsContainers(rule: Rule) {
    var policy = ContainerGarbageCollection.Policy()
    policy.containersPerName = rule.perName
    policy.containers = rule.total
    policy.minimumAge = .seconds(rule.minimumAge)
    let selection = GarbageSelection(policy: policy, now: 100_000_000_000, knownPods: rule.known)
    #expect(selection.containers(rule.containers.shuffled()).map(\.id) == rule.removed)
  }

  @Test(arguments: [(["u1"], ["1", "6"]), (nil, ["1"]), ([], ["1", "2", "6"])] as [(Set<String>?, [String])])
  func selectsSandboxes(known: Set<String>?, removed: [String]) {
    let sandboxes = [
      Self.sandbox("1", pod: "u1", created: 1), Self.sandbox("2", pod: "u1", created: 5), Self.sandbox("3", pod: "u1", created: 2),
      Self.sandbox("4", pod: "u1", created: 3, ready: true), Self.sandbox("5", pod: "", created: 1),
      Self.sandbox("6", pod: "u2", created: 9),
      Self.sandbox("7", pod: "u2", created: 8, ready: true),
    ]
    let selection = GarbageSelection(policy: .init(), now: 0, knownPods: known)
    let inThird = [Self.container("a", pod: "u1", created: 1, sandbox: "3")]
    #expect(selection.sandboxes(sandboxes.shuffled(), containers: inThird).map(\.id) == removed)
  }

  private let scratch: LogScratch
  private let paths: NodePaths

  init() throws {
    scratch = try LogScratch()
    paths = NodePaths(root: scratch.path, podLogs: scratch.path + "/pods", containerLogs: scratch.path + "/containers")
  }

  private func collection(_ runtime: GarbageScriptedRuntime) -> ContainerGarbageCollection {
    ContainerGarbageCollection(runtime: runtime, paths: paths, logger: Logger(label: "test"))
  }

  private func writeLogs() throws {
    let links = ContainerLogLinks(directory: paths.containerLogs)
    for (id, pod, number) in [("old", "u1", 0), ("new", "u1", 1), ("gone", "u2", 0)] {
      let log = try scratch.write("pods/ns_name-\(pod)_\(pod)/c/\(number).log", "")
      try scratch.write("pods/ns_name-\(pod)_\(pod)/c/\(number).log.20260301-120000.gz", "")
      try links.link(pod: "name-" + pod, namespace: "ns", container: "c", containerID: id, to: log)
    }
    try scratch.write("pods/unrelated/file", "")
  }

  private func garbage() -> GarbageScriptedRuntime {
    GarbageScriptedRuntime(
      containers: [
        Self.container("old", pod: "u1", created: 1, sandbox: "s1"),
        Self.container("new", pod: "u1", created: 2, attempt: 1, sandbox: "s2"),
        Self.container("gone", pod: "u2", created: 3, sandbox: "s3"),
      ],
      sandboxes: [
        Self.sandbox("s1", pod: "u1", created: 1), Self.sandbox("s2", pod: "u1", created: 2, ready: true),
        Self.sandbox("s3", pod: "u2", created: 3),
      ])
  }

  @Test func collects() async throws {
    try writeLogs()
    let runtime = garbage()
    #expect(await collection(runtime).collect(sourcesReady: true) { ["u1"] } == [])
    #expect(runtime.calls == ["remove old", "remove gone", "stop s1", "remove s1", "stop s3", "remove s3"])
    #expect(try scratch.names("pods") == ["ns_name-u1_u1", "unrelated"])
    #expect(try scratch.names("pods/ns_name-u1_u1/c") == ["1.log", "1.log.20260301-120000.gz"])
    #expect(try scratch.names("containers") == ["name-u1_ns_c-new.log"])
  }

  @Test func collectsLittleWhilePodsAreNotKnown() async throws {
    try writeLogs()
    let runtime = garbage()
    await collection(runtime).collect(sourcesReady: false) {
      Issue.record("asked for pods")
      return []
    }
    #expect(runtime.calls == ["remove old", "stop s1", "remove s1"])
    #expect(try scratch.names("pods") == ["ns_name-u1_u1", "ns_name-u2_u2", "unrelated"])
  }

  @Test func goesOnWhenSomethingFails() async throws {
    try writeLogs()
    let runtime = garbage()
    runtime.state.withLock { $0.failing = ["old"] }
    let failures = await collection(runtime).collect(sourcesReady: true) { ["u1"] }
    // Its container is still there: the sandbox stays.
    #expect(failures == ["container old: remove: busy"])
    #expect(runtime.calls == ["remove old", "remove gone", "stop s3", "remove s3"])
    runtime.state.withLock { $0.failing = [] }
    #expect(await collection(runtime).collect(sourcesReady: true) { ["u1"] } == [])
    #expect(runtime.calls.suffix(3) == ["remove old", "stop s1", "remove s1"])
  }
}
