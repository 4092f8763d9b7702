import KubernetesAPI
import Synchronization

/// The volumes of pods on this node: sets them up, mounts them into containers and takes them away.
///
/// What is on the disk and mounted decides; what is kept in memory only saves looking again. So a new instance takes over
/// what an earlier one, or kubelet, left behind. All calls may be made for several pods at once.
public final class PodVolumes: Sendable {
  let paths: NodePaths
  private let now: @Sendable () -> ContinuousClock.Instant
  private let pods = Mutex<[String: PodState]>([:])

  /// - Parameter now: the clock that the delays after failures are measured with.
  public init(paths: NodePaths, now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }) {
    self.paths = paths
    self.now = now
  }

  /// Makes all volumes of a pod ready, and brings the files in them up to date.
  ///
  /// It is meant to be called on every sync: when nothing changed it looks at each volume once and writes nothing. A volume
  /// that failed is tried again 500 ms later, and then with doubled delays up to 2 min 2 s.
  /// - Parameter objects: what the pod's volumes refer to.
  /// - Returns: the volumes by name.
  /// - Throws: `VolumeSetUpError`, after everything was tried that could be; `CancellationError`.
  func setUp(_ pod: Pod, downward: DownwardAPI, objects: PodObjects = .withoutCloud) async throws -> [String: PreparedVolume] {
    let payload = VolumePayload(downward: downward, objects: objects)
    let tasks = (pod.spec.volumes ?? []).map { VolumeTask($0, pod: pod, payload: payload, paths: paths) }
    if tasks.isEmpty { return [:] }
    let state = state(of: pod.uid)
    let time = now()
    // Whoever holds the lock is at work on a thread of his own, perhaps for long: then wait on a thread too.
    let known = state.volumes.withLockIfAvailable { volumes in
      tasks.allSatisfy { volumes[$0.volume.name]?.isSettled($0, at: time) == true } ? Self.outcome(of: tasks, volumes, isNew: false) : nil
    }
    if let known, let outcome = known { return try outcome.get() }
    return try await onOwnThread("volumes") { [now] in
      // A path on a network file system may hang; that must not keep the pod from being taken down.
      let checks = tasks.map { $0.checkHostPath() }
      return try state.volumes.withLock { volumes in
        for (task, check) in zip(tasks, checks) {
          var volume = volumes[task.volume.name] ?? VolumeState(fingerprint: task.fingerprint)
          if volume.isSettled(task, at: time) { continue }
          do {
            try check.get()
            volume.succeeded(try task.setUp(), fingerprint: task.fingerprint)
          } catch {
            volume.failed("\(error)", fingerprint: task.fingerprint, at: now())
          }
          volumes[task.volume.name] = volume
        }
        return Self.outcome(of: tasks, volumes, isNew: true)
      }.get()
    }
  }

  private static func outcome(
    of tasks: [VolumeTask], _ volumes: [String: VolumeState], isNew: Bool
  ) -> Result<[String: PreparedVolume], VolumeSetUpError> {
    var ready: [String: PreparedVolume] = [:]
    var error: VolumeSetUpError?
    for task in tasks {
      let name = task.volume.name
      guard let volume = volumes[name] else { continue }
      ready[name] = volume.prepared?.volume
      guard let failure = volume.failure else { continue }
      var failed = error ?? VolumeSetUpError(failures: [], retryAt: failure.retryAt, isNew: isNew)
      failed.failures.append(.init(volume: name, reason: failure.reason))
      failed.retryAt = min(failed.retryAt, failure.retryAt)
      error = failed
    }
    return error.map { .failure($0) } ?? .success(ready)
  }

  /// Runs work that must not overlap with setting up the pod's volumes, on a thread of its own.
  func withExclusiveAccess<Value: Sendable>(
    to podUID: String, _ work: @escaping @Sendable () throws -> Value
  ) async throws -> Value {
    let state = state(of: podUID)
    return try await onOwnThread("volumes") { try state.volumes.withLock { _ in try work() } }
  }

  private func state(of podUID: String) -> PodState {
    pods.withLock { pods in
      if let state = pods[podUID] { return state }
      let state = PodState()
      pods[podUID] = state
      return state
    }
  }

  func forget(_ podUID: String) { pods.withLock { $0[podUID] = nil } }
}

/// What is known of one pod's volumes, by name; the lock is held while one of them is worked on.
private final class PodState: Sendable {
  let volumes = Mutex<[String: VolumeState]>([:])
}

private struct VolumeState {
  struct Failure {
    var reason: String
    var delay: Duration
    var retryAt: ContinuousClock.Instant
  }

  static let firstDelay = Duration.milliseconds(500)
  static let longestDelay = Duration.seconds(122)

  var fingerprint: Int
  var prepared: VolumeTask.Result?
  var failure: Failure?

  init(fingerprint: Int) { self.fingerprint = fingerprint }

  /// Whether there is nothing to do now: it is as wished, or it failed and waits.
  func isSettled(_ task: VolumeTask, at time: ContinuousClock.Instant) -> Bool {
    guard fingerprint == task.fingerprint else { return false }
    if let failure { return time < failure.retryAt }
    return prepared?.isIntact == true
  }

  mutating func succeeded(_ result: VolumeTask.Result, fingerprint: Int) {
    self.fingerprint = fingerprint
    prepared = result
    failure = nil
  }

  mutating func failed(_ reason: String, fingerprint: Int, at time: ContinuousClock.Instant) {
    self.fingerprint = fingerprint
    prepared = nil
    let delay = failure.map { min($0.delay * 2, Self.longestDelay) } ?? Self.firstDelay
    failure = Failure(reason: reason, delay: delay, retryAt: time + delay)
  }
}
