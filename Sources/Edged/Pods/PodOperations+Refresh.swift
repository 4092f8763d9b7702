import KubernetesAPI

/// How far the files of a running pod are up to date.
struct VolumeRefresh: Sendable, Hashable {
  /// Stands for what the files were made of; nil if they never were.
  fileprivate var inputs: Int?
  /// When a volume that failed is to be tried again.
  fileprivate var retryAt: Timestamp?
  /// When to look again, if nothing happens before.
  var nextLook: Timestamp?
}

extension PodOperations {
  /// Brings the files in the volumes of a running pod up to date with what they are made of. It costs next to nothing when nothing changed.
  ///
  /// A failure leaves the files as they are, is told as an event and tried again later.
  /// - Parameter last: what the call before returned.
  func refreshVolumes(_ pod: Pod, _ record: PodRecord, after last: VolumeRefresh) async -> VolumeRefresh {
    guard pod.hasVolumesOfFiles, !record.runningContainers.isEmpty else { return VolumeRefresh() }
    let now = Timestamp.now
    let tokensDue = objects.nextRefresh(of: pod.uid)
    let inputs = volumeInputs(of: pod)
    if inputs == last.inputs, [last.retryAt, tokensDue].allSatisfy({ $0.map { $0 > now } ?? true }) {
      return VolumeRefresh(inputs: inputs, retryAt: last.retryAt, nextLook: Self.earlier(last.retryAt, tokensDue))
    }
    var refresh = VolumeRefresh(inputs: inputs)
    do {
      let objects = try await objects.objects(of: pod, .volumes)
      _ = try await setUpVolumes(of: pod, addresses(of: pod, record), objects)
    } catch let error as VolumeSetUpError {
      let delay: Duration = error.retryAt - ContinuousClock.now
      refresh.retryAt = Timestamp.now + max(.seconds(1), delay)
      if error.isNew { logger.warning("refreshing volumes failed", metadata: ["pod": "\(pod.fullName)", "error": "\(error)"]) }
    } catch {
      if Task.isCancelled { return last }
      refresh.retryAt = .now + .seconds(10)
    }
    refresh.nextLook = Self.earlier(refresh.retryAt, objects.nextRefresh(of: pod.uid))
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

  private static func earlier(_ a: Timestamp?, _ b: Timestamp?) -> Timestamp? { [a, b].compactMap { $0 }.min() }
}

extension Pod {
  /// Whether it has volumes that the agent writes, and whose contents can change while the pod runs.
  fileprivate var hasVolumesOfFiles: Bool {
    (spec.volumes ?? []).contains { $0.configMap != nil || $0.secret != nil || $0.downwardAPI != nil || $0.projected != nil }
  }
}
