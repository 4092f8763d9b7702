import KubernetesAPI

extension HostPort {
  /// Refuses a pod that wants a port that another active pod has.
  static func admit(_ pod: Pod, beside others: some Sequence<Pod>) -> AdmissionRejection? {
    let wished = of(pod)
    guard !wished.isEmpty else { return nil }
    for other in others where other.uid != pod.uid {
      let taken = of(other)
      if wished.contains(where: { port in taken.contains { port.conflicts(with: $0) } }) {
        return .predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
      }
    }
    return nil
  }
}
