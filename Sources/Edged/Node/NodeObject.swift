import Core
import KubernetesAPI

/// The Node with which this machine registers.
enum NodeObject {
  static let attachDetachAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach"

  /// - Parameter status: without the port of the agent's server, which is added here: only a registration may say it, since the cloud
  ///   puts the port of its tunnel in its place.
  static func registration(name: String, configuration: EdgedConfiguration, architecture: String, status: NodeStatus) -> Node {
    let kubelet = configuration.tailoredKubeletConfig
    var node = Node(
      metadata: ObjectMeta(
        name: name, labels: labels(name: name, configuration: configuration, architecture: architecture), annotations: annotations))
    var spec = NodeSpec()
    var taints = kubelet.registerWithTaints.map { Taint(key: $0.key, value: $0.value, effect: $0.effect) }
    if !configuration.registerSchedulable {
      spec.unschedulable = true
      let unschedulable = Taint.unschedulable
      if !taints.contains(where: { $0.key == unschedulable.key && $0.effect == unschedulable.effect }) { taints.append(unschedulable) }
    }
    if !taints.isEmpty { spec.taints = taints }
    node.spec = spec
    node.status = status
    if kubelet.readOnlyPort > 0 {
      node.status?.daemonEndpoints = NodeDaemonEndpoints(kubeletEndpoint: DaemonEndpoint(port: kubelet.readOnlyPort))
    }
    return node
  }

  /// Labels that every node of that name and architecture has. The cloud takes it for an edge node by the first.
  static func defaultLabels(name: String, architecture: String) -> [String: String] {
    [
      "node-role.kubernetes.io/edge": "", "node-role.kubernetes.io/agent": "", "kubernetes.io/hostname": name,
      "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture, "beta.kubernetes.io/os": "linux",
      "beta.kubernetes.io/arch": architecture,
    ]
  }

  static func labels(name: String, configuration: EdgedConfiguration, architecture: String) -> [String: String] {
    defaultLabels(name: name, architecture: architecture).merging(configuration.nodeLabels) { _, configured in configured }
  }

  static let annotations = [attachDetachAnnotation: "true"]

  /// What a Node that exists already lacks. Labels of the configuration count at the registration only: later they are the
  /// cluster's to change.
  static func missing(
    from existing: ObjectMeta, name: String, configuration: EdgedConfiguration, architecture: String
  ) -> (labels: [String: String], annotations: [String: String]) {
    let own = labels(name: name, configuration: configuration, architecture: architecture)
    let labels = defaultLabels(name: name, architecture: architecture).keys.reduce(into: [String: String]()) { missing, key in
      if let value = own[key], existing.labels?[key] != value { missing[key] = value }
    }
    return (labels, annotations.filter { existing.annotations?[$0.key] != $0.value })
  }
}
