import KubernetesAPI
import Logging
import Runtime

/// What the engine says of all pods, kept current by the engine's events instead of by asking again and again.
///
/// Everything is listed at the start, after a gap in the events, and every few minutes in case an event was lost.
actor RuntimeView {
  private let runtime: any ContainerRuntime
  private let logger: Logger
  private var pods: [String: PodRecord] = [:]
  /// The pod of each sandbox and container.
  private var owners: [String: String] = [:]
  /// Ends that an event told and the engine's own status doesn't show yet.
  private var ends: [String: (code: Int32, time: Timestamp)] = [:]
  private var outOfMemory: Set<String> = []
  /// Orders the answers of requests that overlap: an answer never replaces that of a later request.
  private var nextTicket = 0
  private var tickets: [String: Int] = [:]
  private var isConnected = false
  /// Since when the engine's events are missing; nil while they come.
  private(set) var disconnectedSince: ContinuousClock.Instant?
  private var hasListed = false
  private var listWaiters: [AsyncStream<Void>.Continuation] = []
  /// By container id, those who wait for its end.
  private var endWaiters: [String: [AsyncStream<Void>.Continuation]] = [:]
  private let changes: AsyncStream<String>.Continuation
  private let unconfirmedEnds: AsyncStream<String>
  private let unconfirmed: AsyncStream<String>.Continuation
  /// What started and belongs to nobody that is known.
  private let strangers: AsyncStream<String>
  private let newStrangers: AsyncStream<String>.Continuation
  /// Within that time a sandbox or container of the agent's own is known.
  private static let acquaintance = Duration.seconds(5)

  /// UIDs of pods about which something new is known.
  nonisolated let changedPods: AsyncStream<String>

  init(runtime: any ContainerRuntime, logger: Logger) {
    self.runtime = runtime
    self.logger = logger
    (changedPods, changes) = AsyncStream.makeStream()
    (unconfirmedEnds, unconfirmed) = AsyncStream.makeStream()
    (strangers, newStrangers) = AsyncStream.makeStream()
  }

  // MARK: Reading

  func record(of uid: String) -> PodRecord? { pods[uid] }

  var all: [PodRecord] { Array(pods.values) }

  /// Returns once everything was listed, or when the task is cancelled.
  func waitUntilListed() async {
    if hasListed { return }
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    listWaiters.append(continuation)
    for await _ in stream {}
  }

  /// Returns when a container doesn't run any more, or when the task is cancelled.
  func waitUntilEnded(_ id: String, of uid: String) async {
    guard pods[uid]?.containers.first(where: { $0.id == id })?.state == .running else { return }
    let (stream, continuation) = AsyncStream<Void>.makeStream()
    endWaiters[id, default: []].append(continuation)
    for await _ in stream {}
  }

  private func tellWaiters(of uid: String) {
    for (id, waiters) in endWaiters where owners[id] == nil || owners[id] == uid {
      if pods[uid]?.containers.first(where: { $0.id == id })?.state == .running { continue }
      for waiter in waiters { waiter.finish() }
      endWaiters[id] = nil
    }
  }

  private func changed(_ uid: String) {
    changes.yield(uid)
    if !endWaiters.isEmpty { tellWaiters(of: uid) }
  }

  // MARK: Following

  /// Follows the engine until the task is cancelled; reconnects with back-off.
  func run(relistInterval: Duration) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.confirmEnds() }
      group.addTask { await self.meetStrangers() }
      await follow(relistInterval: relistInterval)
      unconfirmed.finish()
      newStrangers.finish()
      changes.finish()
      for waiter in listWaiters + endWaiters.values.flatMap(\.self) { waiter.finish() }
    }
  }

  private func follow(relistInterval: Duration) async {
    var delay = Duration.milliseconds(100)
    while !Task.isCancelled {
      do {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            for try await event in self.runtime.events() { try await self.take(event) }
            throw RuntimeError(.unavailable, operation: "Events", message: "the engine ended the event stream")
          }
          group.addTask {
            while true {
              try await Task.sleep(for: relistInterval, tolerance: relistInterval / 10)
              try await self.relist()
            }
          }
          defer { group.cancelAll() }
          try await group.next()
        }
      } catch {
        if Task.isCancelled { break }
        if isConnected {
          logger.warning("lost the container engine's events", metadata: ["endpoint": "\(runtime.endpoint)", "error": "\(error)"])
          delay = .milliseconds(100)
        }
        isConnected = false
        if disconnectedSince == nil { disconnectedSince = .now }
      }
      try? await Task.sleep(for: delay)
      delay = min(delay * 2, .seconds(5))
    }
  }

  private func take(_ event: RuntimeEvent) async throws {
    switch event {
    case .connected:
      try await relist()
      if !isConnected { logger.info("following the container engine's events", metadata: ["endpoint": "\(runtime.endpoint)"]) }
      isConnected = true
      disconnectedSince = nil
    case .started(let id):
      // Containers that this agent starts are looked at by whoever starts them; this is for what starts behind our back.
      guard let uid = owners[id] else { return _ = newStrangers.yield(id) }
      if let record = pods[uid]?.containers.first(where: { $0.id == id }), record.state != .running { await refreshContainer(id) }
    case .outOfMemory(let id):
      if owners[id] != nil { outOfMemory.insert(id) }
    case .exited(let id, let code):
      guard let uid = owners[id] else { return }
      noteEnd(of: id, in: uid, code: code)
    case .removed(let id):
      guard let uid = owners.removeValue(forKey: id) else { return }
      forget(id, of: uid)
    }
  }

  /// Shows the end at once, and lets the engine's own status replace it when it is there.
  private func noteEnd(of id: String, in uid: String, code: Int32) {
    let now = Timestamp.now
    ends[id] = (code, now)
    guard var record = pods[uid] else { return }
    if let container = record.containers.first(where: { $0.id == id }) {
      if container.state != .exited { record.put(container.exited(code: code, at: now, outOfMemory: outOfMemory.contains(id))) }
    } else if let index = record.sandboxes.firstIndex(where: { $0.id == id }) {
      record.sandboxes[index].isReady = false
    }
    pods[uid] = record
    changed(uid)
    unconfirmed.yield(id)
  }

  /// Fetches what the engine itself says of containers that ended: the exact time, the reason, its message. It knows a few
  /// milliseconds after its event.
  private func confirmEnds() async {
    for await id in unconfirmedEnds {
      var delay = Duration.milliseconds(10)
      while ends[id] != nil, !Task.isCancelled, delay < .seconds(3) {
        try? await Task.sleep(for: delay)
        await refreshContainer(id)
        delay *= 2
      }
    }
  }

  /// Lists everything when something has started that nobody here asked for: an agent that died asked for it, perhaps.
  private func meetStrangers() async {
    for await id in strangers {
      do { try await Task.sleep(for: Self.acquaintance) } catch { return }
      guard owners[id] == nil else { continue }
      do { try await relist() } catch {
        logger.debug("asking for all containers failed", metadata: ["error": "\(error)"])
      }
    }
  }

  // MARK: Asking the engine

  /// Tells whom a sandbox or container belongs to before its events can arrive.
  func expect(_ id: String, of uid: String) { owners[id] = uid }

  /// Asks about one container; the record of its pod is current afterwards.
  @discardableResult
  func refreshContainer(_ id: String) async -> ContainerRecord? {
    guard let uid = owners[id] else { return nil }
    do {
      let status = try await runtime.containerStatus(id)
      let old = pods[uid]?.containers.first { $0.id == id }
      let sandboxID = old?.sandboxID ?? pods[uid]?.readySandboxes.first?.id ?? ""
      guard var container = ContainerRecord(status, sandboxID: sandboxID) else { return nil }
      container = reconciled(container)
      var record = pods[uid] ?? PodRecord(uid: uid, labels: status.labels)
      record.put(container)
      pods[uid] = record
      tickets[uid] = takeTicket()
      if old != container { changed(uid) }
      return container
    } catch let error as RuntimeError where error.code == .notFound {
      owners[id] = nil
      forget(id, of: uid)
    } catch {
      logger.debug("asking for a container failed", metadata: ["container": "\(id)", "error": "\(error)"])
    }
    return nil
  }

  /// Asks about one sandbox; the record of its pod is current afterwards.
  func refreshSandbox(_ id: String, of uid: String) async throws -> SandboxRecord {
    let status = try await runtime.podSandboxStatus(id)
    let sandbox = SandboxRecord(status)
    owners[id] = uid
    var record = pods[uid] ?? PodRecord(uid: uid, labels: status.labels)
    record.put(sandbox)
    pods[uid] = record
    tickets[uid] = takeTicket()
    return sandbox
  }

  /// Asks about everything of one pod.
  @discardableResult
  func refresh(_ uid: String) async throws -> PodRecord? {
    let ticket = takeTicket()
    let selector = [RuntimeLabel.podUID: uid]
    var sandboxFilter = CRIPodSandboxFilter()
    sandboxFilter.labelSelector = selector
    var containerFilter = CRIContainerFilter()
    containerFilter.labelSelector = selector
    let sandboxes = try await runtime.listPodSandboxes(sandboxFilter)
    let containers = try await runtime.listContainers(containerFilter)
    let fresh = try await records(of: sandboxes, containers)
    _ = store(fresh[uid], for: uid, ticket: ticket)
    return pods[uid]
  }

  /// Asks about everything.
  func relist() async throws {
    let ticket = takeTicket()
    let known = Set(pods.keys)
    let sandboxes = try await runtime.listPodSandboxes(nil)
    let containers = try await runtime.listContainers(nil)
    let fresh = try await records(of: sandboxes, containers)
    for uid in known.union(fresh.keys) where !store(fresh[uid], for: uid, ticket: ticket) {
      // Something was learnt of this pod after the list was made.
      try await refresh(uid)
    }
    hasListed = true
    for waiter in listWaiters { waiter.finish() }
    listWaiters = []
  }

  private func takeTicket() -> Int {
    nextTicket += 1
    return nextTicket
  }

  /// Returns false if what is known of the pod is newer than that.
  private func store(_ record: PodRecord?, for uid: String, ticket: Int) -> Bool {
    guard ticket > tickets[uid] ?? 0 else { return false }
    let old = pods[uid]
    if old == record { return true }
    for id in (old?.sandboxes.map(\.id) ?? []) + (old?.containers.map(\.id) ?? []) { owners[id] = nil }
    if let record {
      tickets[uid] = ticket
      pods[uid] = record
      for sandbox in record.sandboxes { owners[sandbox.id] = uid }
      for container in record.containers { owners[container.id] = uid }
    } else {
      tickets[uid] = nil
      pods[uid] = nil
    }
    changed(uid)
    return true
  }

  private func records(of sandboxes: [CRIPodSandbox], _ containers: [CRIContainer]) async throws -> [String: PodRecord] {
    var records: [String: PodRecord] = [:]
    for sandbox in sandboxes {
      guard let uid = sandbox.labels[RuntimeLabel.podUID] else { continue }
      do {
        let status = try await runtime.podSandboxStatus(sandbox.id)
        records[uid, default: PodRecord(uid: uid, labels: sandbox.labels)].put(SandboxRecord(status))
      } catch let error as RuntimeError where error.code == .notFound {
        continue
      }
    }
    for container in containers {
      guard let uid = container.labels[RuntimeLabel.podUID] else { continue }
      do {
        let status = try await runtime.containerStatus(container.id)
        guard let record = ContainerRecord(status, sandboxID: container.podSandboxID) else { continue }
        records[uid, default: PodRecord(uid: uid, labels: container.labels)].put(reconciled(record))
      } catch let error as RuntimeError where error.code == .notFound {
        continue
      }
    }
    return records
  }

  /// The container as the engine says, unless an event has told its end already.
  private func reconciled(_ container: ContainerRecord) -> ContainerRecord {
    guard let end = ends[container.id] else { return container }
    if container.state == .exited {
      ends[container.id] = nil
      outOfMemory.remove(container.id)
      return container
    }
    return container.exited(code: end.code, at: end.time, outOfMemory: outOfMemory.contains(container.id))
  }

  private func forget(_ id: String, of uid: String) {
    ends[id] = nil
    outOfMemory.remove(id)
    guard var record = pods[uid] else { return }
    record.containers.removeAll { $0.id == id }
    record.sandboxes.removeAll { $0.id == id }
    pods[uid] = record.isEmpty ? nil : record
    changed(uid)
  }
}

extension PodRecord {
  fileprivate init(uid: String, labels: [String: String]) {
    self.init(uid: uid, name: labels[RuntimeLabel.podName] ?? "", namespace: labels[RuntimeLabel.podNamespace] ?? "")
  }
}
