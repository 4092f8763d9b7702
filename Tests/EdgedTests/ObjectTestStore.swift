import Core
import Curl
import KubernetesAPI
import Logging
import Runtime
import Synchronization
import Testing
import YAML

@testable import Edged

/// A metadata store on a real channel that answers what a test puts into it, and notes what it was asked for.
final class ObjectTestStore: Sendable {
  struct State {
    /// JSON by resource.
    var objects: [String: String] = [:]
    var errors: [String: MetadataError] = [:]
    /// Resources about which it says nothing.
    var silent: Set<String> = []
    var requests: [String] = []
    /// TokenRequests as they came.
    var tokenRequests: [String] = []
    /// What tokens are answered with; taken in turn, the last one for ever.
    var tokens: [String] = []
  }

  let channel = ChannelContext()
  let state = Mutex(State())

  var client: MetadataClient { MetadataClient(channel: channel, source: .edged) }
  var requests: [String] { state.withLock { $0.requests.sorted() } }

  func put(_ resource: String, _ json: String) { state.withLock { $0.objects[resource] = json } }
  func fail(_ resource: String, _ error: MetadataError?) { state.withLock { $0.errors[resource] = error } }
  func forgetRequests() { state.withLock { $0.requests = [] } }

  /// Puts an object in place and tells those who watch.
  func publish(_ resource: String, _ json: String?) async throws {
    let key = try #require(ObjectKey(resource: resource))
    state.withLock { $0.objects[resource] = json }
    try await channel.send(
      Message(
        route: .init(source: "metamanager", operation: json == nil ? .delete : .update, resource: resource),
        content: Array((json ?? "{\"metadata\":{\"name\":\"\(key.name)\"}}").utf8)),
      toGroup: .watch(key.type))
  }

  /// Tells that the connection to the cloud came or went, once somebody listens.
  func tell(_ connection: CloudConnection) async throws {
    while channel.members(of: .connection).isEmpty { await Task.yield() }
    try await channel.send(connection.message, toGroup: .connection)
  }

  /// Runs a test beside the store.
  static func run(_ test: (ObjectTestStore) async throws -> Void) async throws {
    let store = ObjectTestStore()
    try store.channel.register(.metaManager)
    async let answering: Void = store.answer()
    defer { store.channel.unregister(.metaManager) }
    try await test(store)
    store.channel.unregister(.metaManager)
    await answering
  }

  private func answer() async {
    for await message in channel.messages(for: .metaManager) {
      let reply: Message? = state.withLock { state in
        state.requests.append("\(message.operation) \(message.resource)")
        if state.silent.contains(message.resource) { return nil }
        if let error = state.errors[message.resource] {
          return .reply(to: message, from: .metaManager, operation: .error, content: error.content)
        }
        var json = state.objects[message.resource]
        if message.resource.contains("/serviceaccounttoken/") {
          state.tokenRequests.append(String(decoding: message.content, as: UTF8.self))
          json = state.tokens.count > 1 ? state.tokens.removeFirst() : state.tokens.first
        }
        guard let json else {
          let error = MetadataError(.notFound, "there is no \(message.resource)")
          return .reply(to: message, from: .metaManager, operation: .error, content: error.content)
        }
        return .reply(to: message, from: .metaManager, content: Array(json.utf8))
      }
      if let reply { channel.respond(to: message, with: reply) }
    }
  }
}

/// The UIDs of pods that something changed for, in their order.
struct ObjectWakes: Sendable {
  private let stream: AsyncStream<String>
  private let continuation: AsyncStream<String>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func wake(_ uid: String) { continuation.yield(uid) }

  func next() async -> String? {
    var iterator = stream.makeAsyncIterator()
    return await iterator.next()
  }

  /// Follows the store beside `body`, which begins when the watch has begun.
  static func follow(_ objects: PodObjectSource, for pod: Pod, _ body: (ObjectWakes) async throws -> Void) async throws {
    _ = try await objects.objects(of: pod)
    let wakes = ObjectWakes()
    let follower = Task { await objects.run { wakes.wake($0) } }
    defer { follower.cancel() }
    let first = await wakes.next()
    #expect(first == pod.uid)
    try await body(wakes)
    follower.cancel()
    await follower.value
  }
}

/// Keeps what is logged, metadata included.
struct ObjectTestLog: LogHandler {
  final class Lines: Sendable { let all = Mutex<[String]>([]) }

  let lines: Lines
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.trace

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") } }

  static func logger(_ lines: Lines) -> Logger { Logger(label: "test") { _ in ObjectTestLog(lines: lines) } }
}

/// An answer to a TokenRequest.
func objectToken(_ text: String, expires: Timestamp, lifetime: Int64 = 3600) -> String {
  """
  {"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":["api"],"expirationSeconds":\(lifetime)},
  "status":{"token":"\(text)","expirationTimestamp":"\(expires)"}}
  """
}

func objectConfigMap(_ name: String, _ data: String, _ more: String = "") -> String {
  "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"\(name)\",\"namespace\":\"shop\",\"uid\":\"u-\(name)\"},\"data\":\(data)\(more)}"
}

func objectSecret(_ name: String, _ data: String, _ more: String = "") -> String {
  "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"\(name)\",\"namespace\":\"shop\"},\"data\":\(data)\(more)}"
}

/// The side of the node that refreshing volumes needs; the engine behind it does nothing.
func objectOperations(
  _ objects: PodObjectSource, _ test: VolumeTestDirectory, events: any EventRecording, http: HTTPClient, logger: Logger
) throws -> PodOperations {
  let runtime = GarbageScriptedRuntime()
  let resources = ResourceRules(cgroupV2: true, swapAccounting: false, hugepageSizes: [], memoryCapacity: 1 << 30)
  let blueprint = PodBlueprint(
    paths: test.paths, resources: resources, security: SecurityContextBuilder(seccompRoot: test.paths.seccomp),
    clusterDNS: [], clusterDomain: "", resolvConf: "", hostIPs: [])
  let amounts = ["cpu": Quantity(value: 4), "memory": Quantity(value: 1 << 30)]
  return PodOperations(
    runtime: runtime, turns: EngineTurns(parallel: 4), view: RuntimeView(runtime: runtime, logger: logger),
    node: NodeFacts(name: "edge-1", hostIPs: ["10.0.0.1"], capacity: amounts, allocatable: amounts), paths: test.paths,
    settings: PodSettings(maxContainerRestartPeriod: .seconds(300), deadContainersKept: 1), events: events, statuses: StatusStore(),
    reports: nil,
    probes: Probers(events: events, http: http, runCommand: runtime.commandRunner) { _ in },
    hooks: LifecycleHooks(events: events, http: http, runCommand: runtime.commandRunner),
    images: ImagePuller(
      service: ImageScriptedService(), events: events, nodeCredentials: NodeRegistryCredentials(configFolders: [], dockercfgFolders: [])),
    volumes: PodVolumes(paths: test.paths), objects: objects,
    cgroups: PodCgroups(hierarchy: CgroupHierarchy(version: .v2, mounts: [:], unified: test.path), driver: .cgroupfs),
    blueprint: blueprint, links: ContainerLogLinks(directory: test.paths.containerLogs), agentStarted: .now, logger: logger)
}
