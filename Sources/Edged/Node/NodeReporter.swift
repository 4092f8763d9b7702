import Core
import KubernetesAPI
import Logging
import Runtime
import YAML

/// Speaks for the node in the cloud: registers it, keeps its status and its lease.
///
/// Without a connection it does nothing but wait for one.
actor NodeReporter {
  /// Takes an event about the node.
  typealias Events = @Sendable (_ type: EventType, _ reason: String, _ message: String) -> Void

  /// What a status is made of, besides what the engine and the machine say.
  struct Sources: Sendable {
    var facts: @Sendable () async -> NodeFacts
    var pressure: @Sendable () async -> NodePressure = { NodePressure() }
    /// What keeps pods from running beyond what the engine says; empty if nothing does.
    var problems: @Sendable () async -> [String] = { [] }
    var volumesInUse: @Sendable () async -> [String] = { [] }
    var system: @Sendable () -> NodeSystem = { NodeSystem.read() }
  }

  let client: MetadataClient
  let name: String
  let configuration: EdgedConfiguration
  let logger: Logger
  let events: Events
  let link = NodeLink()
  let clock: ProbeClock
  private let builder: NodeStatusBuilder
  private let sources: Sources
  private let engine: NodeEngine
  private let lease: NodeLease

  /// As the cloud has it, as far as is known here.
  var known: NodeStatus?
  var knownRevision: Int64 = 0
  private(set) var system: NodeSystem
  private var isUnschedulable = false
  private var conditions: [String: Bool] = [:]
  /// When the status was last confirmed; nil if what was sent last wasn't.
  var confirmed: Duration?
  /// The UID of the Node whose first status was told: who writes to the Node does it after that, so that the two don't collide.
  var announced = ""
  /// What was logged last, so that it isn't logged again.
  var registrationProblem: String?
  var reportProblem: String?

  /// - Parameters:
  ///   - name: the node's name in the cluster.
  ///   - agentVersion: the version without a name: `1.2.0`.
  ///   - facts: asked each time the status is computed.
  init(
    client: MetadataClient, name: String, configuration: EdgedConfiguration, agentVersion: String,
    facts: @escaping @Sendable () async -> NodeFacts, runtime: any ContainerRuntime, events: @escaping Events, logger: Logger
  ) {
    self.init(
      client: client, name: name, configuration: configuration, agentVersion: agentVersion, sources: Sources(facts: facts),
      engine: NodeEngine.Calls(runtime), events: events, logger: logger)
  }

  init(
    client: MetadataClient, name: String, configuration: EdgedConfiguration, agentVersion: String, sources: Sources,
    engine: NodeEngine.Calls, events: @escaping Events, clock: ProbeClock = .system,
    leaseJitter: @escaping @Sendable () -> Double = { Double.random(in: 0...0.04) }, logger: Logger
  ) {
    let kubelet = configuration.tailoredKubeletConfig
    self.client = client
    self.name = name
    self.configuration = configuration
    self.sources = sources
    self.events = events
    self.clock = clock
    self.logger = logger
    self.engine = NodeEngine(engine, clock: clock)
    self.system = sources.system()
    builder = NodeStatusBuilder(
      name: name, agentVersion: agentVersion, maximumImages: Int(kubelet.nodeStatusMaxImages),
      needsEphemeralStorage: kubelet.localStorageCapacityIsolation)
    lease = NodeLease(
      client: client, name: name, duration: kubelet.nodeLeaseDurationSeconds, link: link, clock: clock, jitter: leaseJitter, logger: logger)
  }

  var key: ObjectKey { ObjectKey(type: "node", name: name) }

  /// Works until the task is cancelled.
  func run() async {
    events(.normal, "Starting", "Starting edgecore.")
    let connections: MetadataClient.ConnectionChanges
    let changes: MetadataClient.Watch
    do {
      // Both before the first request, so that nothing after it is missed.
      connections = try client.connectionChanges()
      changes = try client.watch("node")
    } catch {
      logger.error("the node can't be registered", metadata: ["error": "\(error)"])
      return
    }
    defer {
      connections.end()
      changes.end()
    }
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { for await connection in connections { self.link.note(connection) } }
      tasks.addTask { for await change in changes { await self.note(change) } }
      tasks.addTask { await self.lease.run() }
      tasks.addTask { await self.keep() }
    }
  }

  // MARK: The loop

  private func keep() async {
    let kubelet = configuration.tailoredKubeletConfig
    let updateInterval = max(kubelet.nodeStatusUpdateFrequency.duration, .seconds(1))
    let reportInterval = kubelet.nodeStatusReportFrequency.duration
    var attempted = NodeLink.State()
    var next = clock.now()
    var registrations = Backoff(initial: .milliseconds(100), maximum: .seconds(7), jitter: 0)
    var questions = Backoff(initial: .milliseconds(100), maximum: .seconds(60), jitter: 0)
    while !Task.isCancelled {
      let state = link.state
      guard state.isConnected else {
        if state.isToldGone {
          questions.reset()
          await link.statusWakeup.wait(until: nil)
        } else {
          let deadline = clock.now() + questions.next()
          await pause(until: deadline, asLongAs: state, tolerance: .milliseconds(100))
          if clock.now() >= deadline { link.assumeConnected() }
        }
        continue
      }
      guard let uid = state.uid else {
        if await register(connection: state.connection) {
          registrations.reset()
        } else if link.state == state {
          await pause(until: clock.now() + registrations.next(), asLongAs: state, tolerance: .milliseconds(20))
        }
        continue
      }
      questions.reset()
      let isNew = attempted.uid != uid || attempted.connection != state.connection
      if isNew || clock.now() >= next {
        attempted = state
        next = clock.now() + updateInterval
        let isDue = confirmed.map { clock.now() - $0 >= reportInterval } ?? true
        await report(always: isNew || isDue, uid: uid, connection: state.connection)
      }
      await pause(until: next, asLongAs: state, tolerance: .milliseconds(500))
    }
  }

  private func pause(until deadline: Duration, asLongAs state: NodeLink.State, tolerance: Duration) async {
    await link.pause(link.statusWakeup, until: deadline, asLongAs: state, clock, tolerance: tolerance)
  }

  // MARK: What the cloud says

  /// Takes over what the cloud says of the node; an older state than the known one is left alone.
  func adopt(_ node: Node) {
    let revision = node.metadata.resourceVersion.flatMap { Int64($0) } ?? 0
    guard revision == 0 || revision >= knownRevision else { return }
    knownRevision = revision
    known = node.status
    if let uid = node.metadata.uid, !uid.isEmpty { link.registered(uid: uid) }
    let unschedulable = node.spec?.unschedulable ?? false
    if unschedulable != isUnschedulable {
      isUnschedulable = unschedulable
      announce(unschedulable ? "NodeNotSchedulable" : "NodeSchedulable")
    }
  }

  /// A change in the store. It wakes nobody unless the Node went away or became another one: what we told comes back this way, too.
  private func note(_ change: MetadataChange) {
    guard change.key == key, let uid = link.state.uid, let value = try? JSONValue(json: change.object) else { return }
    switch change.kind {
    case .stored:
      if let node = try? value.decode(Node.self) { adopt(node) }
    case .removed:
      let removed = value["metadata"]?["uid"]?.string
      forget(uid: removed?.isEmpty == false ? removed : uid)
    }
  }

  /// The cloud doesn't have the Node any more.
  func forget(uid: String?) {
    guard link.unregistered(uid: uid) else { return }
    known = nil
    knownRevision = 0
    confirmed = nil
    logger.notice("the cloud has deleted the node; registering it again", metadata: ["node": "\(name)"])
  }

  // MARK: What the node says

  /// - Parameter fully: reads also what hardly ever changes.
  func observe(fully: Bool) async -> NodeStatus {
    if fully { system = sources.system() }
    var observed = NodeObservation(facts: await sources.facts(), system: system)
    observed.engine = await engine.observe(fully: fully)
    if configuration.tailoredKubeletConfig.nodeStatusMaxImages != 0 { observed.images = await engine.images() }
    observed.pressure = await sources.pressure()
    observed.problems = await sources.problems()
    observed.volumesInUse = await sources.volumesInUse()
    let status = builder.status(of: observed, previous: known, now: clock.wall())
    announce(status.conditions ?? [])
    return status
  }

  private static let conditionEvents: [String: (isTrue: String, isFalse: String)] = [
    "Ready": ("NodeReady", "NodeNotReady"), "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"), "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
  ]

  private func announce(_ now: [NodeCondition]) {
    for condition in now {
      let isTrue = condition.status == "True"
      guard let reasons = Self.conditionEvents[condition.type], conditions.updateValue(isTrue, forKey: condition.type) != isTrue else {
        continue
      }
      announce(isTrue ? reasons.isTrue : reasons.isFalse)
      if condition.type == "Ready", !isTrue {
        logger.warning("the node is not ready for pods", metadata: ["problem": "\(condition.message ?? "")"])
      }
    }
  }

  private func announce(_ reason: String) { events(.normal, reason, "Node \(name) status is now: \(reason)") }
}
