import KubernetesAPI
import Runtime

/// What the engine is told about a pod: everything that follows from the pod, the node and the configuration.
struct PodBlueprint: Sendable {
  var paths: NodePaths
  var resources: ResourceRules
  var security: SecurityContextBuilder
  var clusterDNS: [String]
  var clusterDomain: String
  /// The node's resolv.conf; "" for none.
  var resolvConf: String
  var hostIPs: [String]

  var sandboxes: SandboxConfigBuilder { SandboxConfigBuilder(paths: paths, resources: resources, security: security) }
  var containers: ContainerConfigBuilder { ContainerConfigBuilder(paths: paths, resources: resources, security: security) }

  func hostname(of pod: Pod) throws(PodHostname.Invalid) -> PodHostname { try PodHostname(pod, clusterDomain: clusterDomain) }

  /// Reads the node's resolv.conf each time, since it may change.
  func dns(of pod: Pod) throws -> PodDNS.Result {
    let node: ResolverConfig? =
      if resolvConf.isEmpty {
        nil
      } else {
        ResolverConfig(parsing: String(decoding: try FileSystem.read(resolvConf, limit: 1 << 20) ?? [], as: UTF8.self))
      }
    return PodDNS(clusterDNS: clusterDNS, clusterDomain: clusterDomain, node: node, nodeIPs: hostIPs).config(for: pod)
  }

  /// The text of the pod's `/etc/hosts`; nil as long as the pod has no address.
  func hosts(of pod: Pod, podIPs: [String]) throws -> String? {
    let aliases = pod.spec.hostAliases ?? []
    if pod.spec.hostNetwork == true {
      let file = String(decoding: try FileSystem.read("/etc/hosts", limit: 1 << 20) ?? [], as: UTF8.self)
      return HostsFile.content(nodeFile: file, aliases: aliases)
    }
    guard !podIPs.isEmpty else { return nil }
    let name = try hostname(of: pod)
    return HostsFile.content(podIPs: podIPs, hostname: name.hostname, domain: name.domain, aliases: aliases)
  }
}
