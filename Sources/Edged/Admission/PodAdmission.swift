import KubernetesAPI

/// Whether the node takes a pod: all the rules, in the order in which they are asked.
struct PodAdmission: Sendable {
  var node: NodeTraits
  /// What pods may have together, by resource name.
  var allocatable: ResourceList
  var pressure = NodePressure()
  var sysctls: SysctlAllowlist
  var hostHasAppArmor: Bool
  var engineSupportsGroupsPolicy: Bool

  private static let system = "linux"
  private static let systemLabel = "kubernetes.io/os"

  /// Why the node doesn't take the pod; nil if it does. Only the first reason counts.
  ///
  /// - Parameters:
  ///   - others: The active pods, in whose company it would be.
  ///   - wasAdmitted: The node took it before, and its start was under way: what is asked when a pod is placed isn't asked again.
  func rejection(of pod: Pod, beside others: [Pod], wasAdmitted: Bool = false) -> AdmissionRejection? {
    if !wasAdmitted, let rejection = admitUnderPressure(pod) { return rejection }
    let ability =
      sysctls.admit(pod) ?? admitSystem(pod)
      ?? SupplementalGroupsPolicy.admit(pod, engineSupportsPolicy: engineSupportsGroupsPolicy)
      ?? AppArmor.admit(pod, hostHasAppArmor: hostHasAppArmor)
    if let ability { return ability }
    if wasAdmitted { return HostPort.admit(pod, beside: others) }

    let shortfalls = ResourceFit.shortfalls(
      of: pod, beside: others, allocatable: allocatable.merging(node.devices) { own, _ in own })
    let lack = shortfalls.first?.rejection
    // Room can be made for a critical pod, but not for one that may not be here anyway.
    if let lack, !CriticalPod.isCritical(pod) { return lack }
    if let rejection = admitPlacement(pod, beside: others) { return rejection }
    guard var lack else { return nil }
    lack.shortfalls = shortfalls
    return lack
  }

  private func admitPlacement(_ pod: Pod, beside others: [Pod]) -> AdmissionRejection? {
    NodeSelection.admit(pod, node) ?? admitNodeName(pod) ?? HostPort.admit(pod, beside: others) ?? admitTaints(pod)
  }

  // MARK: Pressure

  /// A node that runs short of something takes critical pods only; of memory, also those that say what they need.
  private func admitUnderPressure(_ pod: Pod) -> AdmissionRejection? {
    let conditions = [
      ("MemoryPressure", pressure.memory), ("DiskPressure", pressure.disk), ("PIDPressure", pressure.processIDs),
    ].filter(\.1).map(\.0)
    guard !conditions.isEmpty, !CriticalPod.isCritical(pod) else { return nil }
    if conditions == ["MemoryPressure"] {
      let taint = Taint(key: "node.kubernetes.io/memory-pressure", effect: "NoSchedule")
      if QOSClass.of(pod) != .bestEffort || pod.tolerates(taint) { return nil }
    }
    return AdmissionRejection(reason: "Evicted", message: "The node had condition: [\(conditions.joined(separator: " "))]. ")
  }

  // MARK: Operating system

  private func admitSystem(_ pod: Pod) -> AdmissionRejection? {
    if let label = pod.metadata.labels?[Self.systemLabel], label != Self.system {
      return AdmissionRejection(
        reason: "PodOSSelectorNodeLabelDoesNotMatch",
        message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label")
    }
    if let os = pod.spec.os, os.name != Self.system {
      return AdmissionRejection(reason: "PodOSNotSupported", message: "Failed to admit pod as the OS field doesn't match node OS")
    }
    return nil
  }

  // MARK: Placement

  private func admitNodeName(_ pod: Pod) -> AdmissionRejection? {
    guard let name = pod.spec.nodeName, !name.isEmpty, name != node.name else { return nil }
    return .predicate("NodeName", "node(s) didn't match the requested node name")
  }

  /// Other effects are the scheduler's to heed.
  private func admitTaints(_ pod: Pod) -> AdmissionRejection? {
    guard !CriticalPod.isStatic(pod), node.taints.contains(where: { $0.effect == "NoExecute" && !pod.tolerates($0) }) else { return nil }
    return .predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
  }
}
