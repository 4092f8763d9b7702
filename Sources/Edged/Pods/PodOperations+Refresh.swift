import KubernetesAPI

/// How far the files of a running pod are up to date.
struct VolumeRefresh: Sendable, Hashable {
  /// Stands for what the files were made of; nil if they never were.
  fileprivate var inputs: Int?
  /// When a volume that failed is to be tried again.
  fileprivate var retryAt: ContinuousClock.Instant?
  /// When to look again, if nothing happens before.
  var nextLook: ContinuousClock.Instant?
}

extension PodOperations {
  /// Tokens are due by the wall clock, and nobody tells when that is set: so it is looked at that often.
  private static let longestRest = Duration.seconds(300)

  /// Brings the files in the volumes of a running pod up to date with what they are made of. It costs next to nothing when nothing changed.
  ///
  /// A failure leaves the files as they are, is told as an event and tried again later.
  /// - Parameter last: what the call before returned.
  func refreshVolumes(_ pod: Pod, _ record: PodRecord, after last: VolumeRefresh) async -> VolumeRefresh {
    guard pod.hasVolumesOfFiles, !record.runningContainers.isEmpty else { return VolumeRefresh() }
    let now = ContinuousClock.now
    let tokensDue = objects.nextRefresh(of: pod.uid)
    let inputs = volumeInputs(of: pod)
    if inputs == last.inputs, [last.retryAt, tokensDue].allSatisfy({ $0.map { $0 > now } ?? true }) {
      return VolumeRefresh(inputs: inputs, retryAt: last.retryAt, nextLook: nextLook(last.retryAt, of: pod))
    }
    var refresh = VolumeRefresh(inputs: inputs)
    do {
      let objects = try await objects.objects(of: pod, .volumes)
      _ = try await setUpVolumes(of: pod, addresses(of: pod, record), objects)
    } catch let error as VolumeSetUpError {
      refresh.retryAt = max(.now + .seconds(1), error.retryAt)
      if error.isNew { logger.warning("refreshing volumes failed", metadata: ["pod": "\(pod.fullName)", "error": "\(error)"]) }
    } catch {
      if Task.isCancelled { return last }
      refresh.retryAt = .now + .seconds(10)
    }
    refresh.nextLook = nextLook(refresh.retryAt, of: pod)
    return refresh
  }

  /// Another number stands for files that may have to be another.
  private func volumeInputs(of pod: Pod) -> Int {
    var hasher = Hasher()
    hasher.combine(pod.spec.volumes)
    hasher.combine(pod.metadata.labels)
    hasher.combine(pod.metadata.annotations)
    for container in pod.spec.containers + pod.initContainers { hasher.combine(container.resources) }
    hasher.combine(objects.revision(of: pod.uid))
    return hasher.finalize()
  }

  private func nextLook(_ retryAt: ContinuousClock.Instant?, of pod: Pod) -> ContinuousClock.Instant? {
    let tokens = objects.nextRefresh(of: pod.uid).map { min($0, .now + Self.longestRest) }
    return [retryAt, tokens].compactMap { $0 }.min()
  }
}

extension Pod {
  /// Whether it has volumes that the agent writes, and whose contents can change while the pod runs.
  fileprivate var hasVolumesOfFiles: Bool {
    (spec.volumes ?? []).contains { $0.configMap != nil || $0.secret != nil || $0.downwardAPI != nil || $0.projected != nil }
  }
}
