import KubernetesAPI

/// Whom the kernel kills first when memory runs out: `oom_score_adj`, higher first.
enum OOMScore {
  static let agent: Int64 = -999
  static let guaranteed: Int64 = -997
  static let bestEffort: Int64 = 1000

  /// - Parameter memoryCapacity: The node's, in bytes.
  static func adjustment(_ pod: Pod, _ container: Container, memoryCapacity: Int64) -> Int64 {
    if CriticalPod.isNodeCritical(pod) { return guaranteed }
    switch QOSClass.of(pod) {
    case .guaranteed: return guaranteed
    case .bestEffort: return bestEffort
    case .burstable: break
    }
    var score = burstable(container, memoryCapacity)
    if (pod.spec.initContainers ?? []).contains(where: { $0.name == container.name && $0.isSidecar }) {
      // A sidecar must not go before those that need it.
      let smallest = pod.spec.containers.map { burstable($0, memoryCapacity) }.max()
      score = min(score, smallest ?? score)
    }
    return min(max(score, bestEffort + guaranteed), bestEffort - 1)
  }

  private static func burstable(_ container: Container, _ capacity: Int64) -> Int64 {
    guard capacity > 0 else { return bestEffort }
    let request = min(container.requests["memory"]?.value ?? 0, capacity)
    return bestEffort - Int64(Int128(1000) * Int128(request) / Int128(capacity))
  }
}
