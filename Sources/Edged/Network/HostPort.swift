import KubernetesAPI

/// A port of the host that a pod takes.
struct HostPort: Sendable, Hashable {
  var `protocol`: String
  /// `0.0.0.0` stands for every address.
  var hostIP: String
  var port: Int32

  /// Of the containers that run for the pod's whole life: regular ones and sidecars.
  static func of(_ pod: Pod) -> Set<HostPort> {
    let containers = pod.spec.containers + (pod.spec.initContainers ?? []).filter(\.isSidecar)
    return Set(
      containers.flatMap { container in
        (container.ports ?? []).compactMap { port in
          let number = port.effectiveHostPort(in: pod)
          guard number > 0 else { return nil }
          let ip = port.hostIP ?? ""
          return HostPort(protocol: port.protocol ?? "TCP", hostIP: ip.isEmpty ? "0.0.0.0" : ip, port: number)
        }
      })
  }

  func conflicts(with other: HostPort) -> Bool {
    port == other.port && `protocol` == other.protocol
      && (hostIP == other.hostIP || hostIP == "0.0.0.0" || other.hostIP == "0.0.0.0")
  }
}
