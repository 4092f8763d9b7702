import KubernetesAPI

/// What of a Node object decides on which pods the node takes.
struct NodeTraits: Sendable, Hashable {
  var name: String
  var labels: [String: String]
  var taints: [Taint] = []
  /// What others than the agent say that pods may have: devices.
  var devices: ResourceList = [:]
}

extension NodeTraits {
  init(_ node: Node, name: String) {
    self.init(
      name: name, labels: node.metadata.labels ?? [:], taints: node.spec?.taints ?? [],
      devices: (node.status?.allocatable ?? [:]).filter { NodeStatusBuilder.isForeign($0.key) })
  }
}
