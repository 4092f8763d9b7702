import KubernetesAPI
import Logging
import Runtime
import YAML

/// All pods of the node: one worker for each, from the first wish until nothing is left of it.
///
/// Pods are told apart by UID. Two pods of one name never run at the same time: the new one waits until the old one is gone.
actor PodTable {
  private let operations: PodOperations
  private let logger: Logger
  private var workers: [String: PodWorker] = [:]
  private var names: [String: String] = [:]
  private var wished: [String: WishedPod] = [:]
  /// The pods of workers that end; what describes them must outlive the wish.
  private var ending: [String: WishedPod] = [:]
  /// Until all who wish for pods have spoken, pods that nobody wished for may still be wanted.
  private var silentSources: Set<PodSource>
  private var isStopping = false
  private let newWorkers: AsyncStream<PodWorker>
  private let newWorker: AsyncStream<PodWorker>.Continuation

  /// - Parameter sources: all who will wish for pods.
  init(operations: PodOperations, sources: Set<PodSource>, logger: Logger) {
    self.operations = operations
    self.logger = logger
    silentSources = sources
    (newWorkers, newWorker) = AsyncStream.makeStream()
  }

  /// Runs the workers until `stop()`.
  func run() async {
    await withDiscardingTaskGroup { group in
      for await worker in newWorkers {
        group.addTask {
          await worker.run()
          await self.workerEnded(worker)
        }
      }
    }
  }

  /// Ends `run()`: workers finish what is under way, pods run on.
  func stop() async {
    isStopping = true
    newWorker.finish()
    for worker in workers.values { await worker.stop() }
  }

  // MARK: Wishes

  var knowsAllWishes: Bool { silentSources.isEmpty }

  /// Replaces all wishes of one source.
  func wish(for pods: [WishedPod], from source: PodSource) async {
    let named = Set(pods.map(\.pod.uid))
    silentSources.remove(source)
    for (uid, wish) in wished where wish.source == source && !named.contains(uid) { await drop(uid) }
    for wish in pods { await take(wish) }
    await carryOutWishes()
  }

  /// Adds a wish or changes it.
  func wish(for pod: WishedPod) async {
    await take(pod)
    await carryOutWishes()
  }

  /// Takes a wish back.
  func unwish(_ uid: String, from source: PodSource) async {
    guard wished[uid]?.source == source else { return }
    await drop(uid)
    await carryOutWishes()
  }

  /// The wishes of one source.
  func wishes(of source: PodSource) -> [WishedPod] { wished.values.filter { $0.source == source } }

  private func take(_ wish: WishedPod) async {
    let uid = wish.pod.uid
    let before = wished.updateValue(wish, forKey: uid)
    guard let before, let worker = workers[uid] else { return }
    if before.pod.isSameWish(as: wish.pod) {
      await worker.takeConditions(of: wish.pod)
    } else {
      logger.info("pod changed", metadata: ["pod": "\(wish.pod.fullName)", "uid": "\(uid)"])
      await worker.update(wish.pod)
    }
  }

  private func drop(_ uid: String) async {
    guard let wish = wished.removeValue(forKey: uid) else { return }
    guard let worker = workers[uid] else { return }
    ending[uid] = wish
    logger.info("removing pod", metadata: ["pod": "\(wish.pod.fullName)", "uid": "\(uid)"])
    await worker.remove()
  }

  private func carryOutWishes() async {
    await startMissing()
    await endOrphans()
    shareProcessors()
  }

  /// Gives all burstable pods together the weight of what they ask for.
  private func shareProcessors() {
    do {
      try operations.cgroups.setShares(ResourceRules.burstableShares(wished.values.map(\.pod)), of: .burstable)
    } catch {
      logger.warning("weighing the burstable pods failed", metadata: ["error": "\(error)"])
    }
  }

  /// Starts a worker for each wish that has none and whose name is free.
  private func startMissing() async {
    guard !isStopping else { return }
    let records = await operations.view.all
    let running = Set(records.map(\.uid))
    // What runs already comes first: it has what it needs of the node, and newer pods have to do with the rest.
    func rank(_ wish: WishedPod) -> (Int, String) { (running.contains(wish.pod.uid) ? 0 : 1, wish.pod.fullName) }
    for (uid, wish) in wished.sorted(by: { rank($0.value) < rank($1.value) })
    where workers[uid] == nil && names[wish.pod.fullName] == nil {
      // A name that is still taken by containers of an earlier life has to become free first.
      if let old = records.first(where: {
        $0.uid != uid && "\($0.namespace)/\($0.name)" == wish.pod.fullName && workers[$0.uid] == nil
      }) {
        await endOrphan(old)
        continue
      }
      logger.info("adding pod", metadata: ["pod": "\(wish.pod.fullName)", "uid": "\(uid)"])
      start(
        PodWorker(
          pod: wish.pod, status: operations.statuses.status(of: uid) ?? wish.pod.status,
          refusal: running.contains(uid) ? nil : operations.blueprint.refusal(of: wish.pod) ?? HostPort.admit(wish.pod, beside: active),
          operations: operations, logger: logger))
    }
  }

  /// The pods that have workers and aren't over.
  private var active: [Pod] {
    workers.keys.compactMap { uid in
      operations.statuses.status(of: uid)?.phase?.isTerminal == true ? nil : (wished[uid] ?? ending[uid])?.pod
    }
  }

  private func start(_ worker: PodWorker) {
    workers[worker.uid] = worker
    names[worker.fullName] = worker.uid
    newWorker.yield(worker)
  }

  private func workerEnded(_ worker: PodWorker) async {
    guard await worker.phase == .gone else { return }
    workers[worker.uid] = nil
    names[worker.fullName] = nil
    ending[worker.uid] = nil
    logger.info("pod is gone", metadata: ["pod": "\(worker.fullName)", "uid": "\(worker.uid)"])
    await startMissing()
  }

  // MARK: Orphans

  /// Ends pods that run and that nobody wishes for.
  func endOrphans() async {
    guard knowsAllWishes, !isStopping else { return }
    for record in await operations.view.all where workers[record.uid] == nil && wished[record.uid] == nil {
      await endOrphan(record)
    }
  }

  private func endOrphan(_ record: PodRecord) async {
    guard names["\(record.namespace)/\(record.name)"] == nil else { return }
    logger.info("removing a pod that nobody wishes for", metadata: ["pod": "\(record.namespace)/\(record.name)", "uid": "\(record.uid)"])
    let pod = Pod(orphan: record)
    ending[record.uid] = WishedPod(pod: pod, raw: (try? JSONValue(encoding: pod).jsonBytes()) ?? [], source: .manifests)
    let worker = PodWorker(pod: pod, status: nil, refusal: nil, operations: operations, logger: logger)
    start(worker)
    await worker.remove(gracePeriod: 1)
  }

  // MARK: Looking

  /// Something about a pod is new.
  func wake(_ uid: String) async {
    if let worker = workers[uid] { worker.wake() } else { await endOrphans() }
  }

  /// UIDs of all pods that exist or are being taken down.
  var knownUIDs: Set<String> { Set(workers.keys).union(wished.keys) }

  /// All pods with their current status, in the order of their names.
  var all: [WishedPod] {
    ending.merging(wished) { _, wish in wish }.values
      .map { wish in
        var wish = wish
        wish.pod.status = operations.statuses.status(of: wish.pod.uid) ?? wish.pod.status
        return wish
      }
      .sorted { ($0.pod.fullName, $0.pod.uid) < ($1.pod.fullName, $1.pod.uid) }
  }
}

extension Pod {
  /// As much of a pod as its containers tell.
  fileprivate init(orphan record: PodRecord) {
    var spec = PodSpec(containers: [])
    for container in record.containers where !spec.containers.contains(where: { $0.name == container.name }) {
      spec.containers.append(Container(name: container.name, image: container.image))
    }
    self.init(metadata: ObjectMeta(name: record.name, namespace: record.namespace, uid: record.uid), spec: spec)
  }
}
