import KubernetesAPI
import Logging
import Runtime
import YAML

/// All pods of the node: one worker for each, from the first wish until nothing is left of it.
///
/// Pods are told apart by UID. Two pods of one name never run at the same time: the new one waits until the old one is gone.
actor PodTable {
  /// How often pods that wait to be admitted are asked about at least.
  static let admissionInterval: Duration = .seconds(60)

  let operations: PodOperations
  let logger: Logger
  /// The rules of admission with the node as it is now.
  let admission: @Sendable () -> PodAdmission
  var book = AdmissionBook()
  nonisolated let retry = Wakeup()
  private(set) var workers: [String: PodWorker] = [:]
  private var names: [String: String] = [:]
  private(set) var wished: [String: WishedPod] = [:]
  /// The pods of workers that end; what describes them must outlive the wish.
  private(set) var ending: [String: WishedPod] = [:]
  /// Until all who wish for pods have spoken, pods that nobody wished for may still be wanted.
  private var silentSources: Set<PodSource>
  private(set) var isStopping = false
  private let newWorkers: AsyncStream<PodWorker>
  private let newWorker: AsyncStream<PodWorker>.Continuation

  /// - Parameter sources: all who will wish for pods.
  init(
    operations: PodOperations, admission: @escaping @Sendable () -> PodAdmission, sources: Set<PodSource>, logger: Logger
  ) {
    self.operations = operations
    self.admission = admission
    self.logger = logger
    silentSources = sources
    (newWorkers, newWorker) = AsyncStream.makeStream()
  }

  /// Runs the workers until `stop()`.
  func run() async {
    await withDiscardingTaskGroup { group in
      group.addTask { await self.retryAdmission() }
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
    retry.signal()
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
    if await take(pod) { await carryOutWishes() }
  }

  /// Takes a wish back.
  func unwish(_ uid: String, from source: PodSource) async {
    guard wished[uid]?.source == source else { return }
    await drop(uid)
    await carryOutWishes()
  }

  /// The wishes of one source.
  func wishes(of source: PodSource) -> [WishedPod] { wished.values.filter { $0.source == source } }

  /// Returns whether there is more to do than the pod's worker does.
  @discardableResult
  private func take(_ wish: WishedPod) async -> Bool {
    let uid = wish.pod.uid
    let before = wished.updateValue(wish, forKey: uid)
    guard let before, let worker = workers[uid] else { return true }
    if before.pod.isSameWish(as: wish.pod) {
      await worker.takeConditions(of: wish.pod)
      return false
    }
    logger.info("pod changed", metadata: ["pod": "\(wish.pod.fullName)", "uid": "\(uid)"])
    await worker.update(wish.pod)
    return true
  }

  private func drop(_ uid: String) async {
    guard let wish = wished.removeValue(forKey: uid) else { return }
    book.forget(uid)
    guard let worker = workers[uid] else {
      operations.statuses.remove(uid)
      return
    }
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

  /// Starts a worker for each wish that has none, whose name is free, and that the node takes.
  func startMissing() async {
    guard !isStopping else { return }
    let nobodyWaited = book.isEmpty
    guard wished.keys.contains(where: { workers[$0] == nil }) else { return }
    let records = await operations.view.all
    let running = Set(records.map(\.uid))
    // What runs already comes first: it has what it needs of the node, and newer pods have to do with the rest.
    func rank(_ pod: Pod) -> (Int, String) {
      (running.contains(pod.uid) ? 0 : CriticalPod.isCritical(pod) ? 1 : 2, pod.fullName)
    }
    let missing = wished.values.lazy.map(\.pod).filter(isMissing).map { (pod: $0, rank: rank($0)) }.sorted { $0.rank < $1.rank }
    for (pod, _) in missing where isMissing(pod) {
      // A name that is still taken by containers of an earlier life has to become free first.
      if let old = records.first(where: {
        $0.uid != pod.uid && "\($0.namespace)/\($0.name)" == pod.fullName && workers[$0.uid] == nil
      }) {
        await endOrphan(old)
        continue
      }
      // What is wished may change during each wait.
      guard let wish = wished[pod.uid] else { continue }
      let admission = await admit(wish, isRunning: running.contains(pod.uid))
      guard isMissing(pod), !isStopping else { continue }
      switch admission {
      case .start: start(wish, nil)
      case .fail(let rejection): start(wish, rejection)
      case .wait: break
      }
    }
    // Who looks after those who wait may sleep without an end.
    if nobodyWaited, !book.isEmpty { retry.signal() }
  }

  private func isMissing(_ pod: Pod) -> Bool { wished[pod.uid] != nil && workers[pod.uid] == nil && names[pod.fullName] == nil }

  private func start(_ wish: WishedPod, _ refusal: AdmissionRejection?) {
    let uid = wish.pod.uid
    logger.info("adding pod", metadata: ["pod": "\(wish.pod.fullName)", "uid": "\(uid)"])
    // Said of a pod that was held back until now.
    operations.statuses.remove(uid)
    start(worker(for: wish.pod, status: wish.pod.status, refusal))
  }

  private func worker(for pod: Pod, status: PodStatus? = nil, _ refusal: AdmissionRejection? = nil) -> PodWorker {
    PodWorker(pod: pod, status: status, refusal: refusal, operations: operations, logger: logger) { self.retry.signal() }
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
    let worker = worker(for: pod)
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
