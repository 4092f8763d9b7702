import KubernetesAPI
import Runtime

/// The ports of a pod as its sandbox gets them.
enum PortMappings {
  /// Every port of the regular containers, also those without a port on the host.
  static func of(_ pod: Pod) -> [CRIPortMapping] {
    pod.spec.containers.flatMap { container -> [CRIPortMapping] in
      var seen: Set<String> = []
      return (container.ports ?? []).compactMap { port -> CRIPortMapping? in
        let protocolName = port.protocol ?? "TCP"
        let hostIP = port.hostIP ?? ""
        let hostPort = port.effectiveHostPort(in: pod)
        let family = hostIP.isEmpty ? "any" : IPAddress.isIPv6(hostIP) ? "v6" : "v4"
        // The same port twice in one container would be refused by the network.
        let name = port.name.flatMap { $0.isEmpty ? nil : $0 } ?? "\(family)-\(protocolName)-\(hostIP):\(port.containerPort):\(hostPort)"
        guard seen.insert(name).inserted else { return nil }
        var mapping = CRIPortMapping()
        mapping.containerPort = port.containerPort
        mapping.hostPort = hostPort
        mapping.hostIp = hostIP
        mapping.protocol =
          switch protocolName {
          case "UDP": .udp
          case "SCTP": .sctp
          default: .tcp
          }
        return mapping
      }
    }
  }
}

extension ContainerPort {
  /// In the host's network a container's port is the host's, as the API defaults it; else 0 is none.
  func effectiveHostPort(in pod: Pod) -> Int32 {
    if let hostPort, hostPort > 0 { return hostPort }
    return pod.spec.hostNetwork == true ? containerPort : 0
  }
}
