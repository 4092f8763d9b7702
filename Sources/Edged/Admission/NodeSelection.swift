import KubernetesAPI

/// Whether a pod may be placed on a node, by the node's labels and name.
enum NodeSelection {
  /// Refuses a pod whose node selector or required node affinity the node doesn't match.
  static func admit(_ pod: Pod, _ node: NodeTraits) -> AdmissionRejection? {
    matches(pod, node) ? nil : .predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
  }

  static func matches(_ pod: Pod, _ node: NodeTraits) -> Bool {
    guard (pod.spec.nodeSelector ?? [:]).allSatisfy({ node.labels[$0.key] == $0.value }) else { return false }
    guard let required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution else { return true }
    return (required.nodeSelectorTerms ?? []).contains { matches($0, node) }
  }

  private static func matches(_ term: NodeSelectorTerm, _ node: NodeTraits) -> Bool {
    let expressions = term.matchExpressions ?? []
    let fields = term.matchFields ?? []
    guard !expressions.isEmpty || !fields.isEmpty else { return false }
    return expressions.allSatisfy { matches($0, node.labels[$0.key]) } && fields.allSatisfy { matchesField($0, node) }
  }

  /// A requirement that makes no sense is met by nothing.
  private static func matches(_ requirement: NodeSelectorRequirement, _ label: String?) -> Bool {
    let values = requirement.values ?? []
    switch requirement.operator {
    case "In": return label.map(values.contains) ?? false
    case "NotIn": return !values.isEmpty && !(label.map(values.contains) ?? false)
    case "Exists": return values.isEmpty && label != nil
    case "DoesNotExist": return values.isEmpty && label == nil
    case "Gt", "Lt":
      guard values.count == 1, let bound = Int64(values[0]), let number = label.flatMap({ Int64($0) }) else { return false }
      return requirement.operator == "Gt" ? number > bound : number < bound
    default: return false
    }
  }

  private static func matchesField(_ requirement: NodeSelectorRequirement, _ node: NodeTraits) -> Bool {
    guard requirement.key == "metadata.name", ["In", "NotIn"].contains(requirement.operator), requirement.values?.count == 1 else {
      return false
    }
    return matches(requirement, node.name)
  }
}
