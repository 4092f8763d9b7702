import KubernetesAPI
import Runtime

/// Describes a pod's sandbox to the engine. The description is the same for the same pod, and so can be made again for every
/// container that is created in the sandbox.
struct SandboxConfigBuilder: Sendable {
  var paths: NodePaths
  var resources: ResourceRules
  var security: SecurityContextBuilder

  /// - Parameters:
  ///   - attempt: How many sandboxes the pod had before.
  ///   - hostname: `PodHostname.kernelName`
  ///   - cgroupParent: `PodCgroups.cgroupParent(podUID:qos:)`
  ///   - extraGroups: Groups that own the pod's volumes.
  func build(
    _ pod: Pod, attempt: UInt32, hostname: String, dns: CRIDNSConfig, cgroupParent: String, extraGroups: [Int64] = []
  ) -> CRIPodSandboxConfig {
    var config = CRIPodSandboxConfig()
    config.metadata.name = pod.name
    config.metadata.namespace = pod.namespace
    config.metadata.uid = pod.uid
    config.metadata.attempt = attempt
    config.hostname = pod.spec.hostNetwork == true ? "" : hostname
    config.logDirectory = paths.podLogDirectory(namespace: pod.namespace, name: pod.name, uid: pod.uid)
    config.dnsConfig = dns
    config.portMappings = PortMappings.of(pod)
    config.labels = (pod.metadata.labels ?? [:]).merging(pod.identityLabels) { _, own in own }
    config.annotations = pod.metadata.annotations ?? [:]
    config.linux.cgroupParent = cgroupParent
    config.linux.securityContext = security.sandbox(pod, extraGroups: extraGroups)
    for sysctl in pod.spec.securityContext?.sysctls ?? [] {
      config.linux.sysctls[SysctlAllowlist.normalise(sysctl.name)] = sysctl.value
    }
    config.linux.resources = resources.sandbox(pod)
    if let overhead = resources.overhead(pod) { config.linux.overhead = overhead }
    return config
  }
}

extension Pod {
  /// Labels by which sandboxes and containers are known to be this pod's.
  var identityLabels: [String: String] {
    [RuntimeLabel.podName: name, RuntimeLabel.podNamespace: namespace, RuntimeLabel.podUID: uid]
  }
}
