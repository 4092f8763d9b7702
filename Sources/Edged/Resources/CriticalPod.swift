import KubernetesAPI

/// Pods that the node can't do without.
enum CriticalPod {
  static let sourceAnnotation = "kubernetes.io/config.source"
  static let mirrorAnnotation = "kubernetes.io/config.mirror"
  /// Priorities from here on belong to the system.
  static let priority: Int32 = 2_000_000_000

  /// From a manifest on the node.
  static func isStatic(_ pod: Pod) -> Bool {
    guard let source = pod.metadata.annotations?[sourceAnnotation] else { return false }
    return source != "api"
  }

  /// Static, the mirror of a static one, or of a system priority.
  static func isCritical(_ pod: Pod) -> Bool {
    if isStatic(pod) { return true }
    if pod.metadata.annotations?[mirrorAnnotation] != nil { return true }
    return (pod.spec.priority ?? 0) >= priority
  }

  /// Critical for the node itself: the last to go when memory runs out.
  static func isNodeCritical(_ pod: Pod) -> Bool {
    isCritical(pod) && pod.spec.priorityClassName == "system-node-critical"
  }
}
