/// Where a pod may be placed (core/v1 Affinity), as far as a node decides on it.
public struct Affinity: Codable, Sendable, Hashable {
  public var nodeAffinity: NodeAffinity?
  public init(nodeAffinity: NodeAffinity? = nil) { self.nodeAffinity = nodeAffinity }
}

/// Which nodes a pod may be placed on (core/v1 NodeAffinity). Preferences are the scheduler's alone.
public struct NodeAffinity: Codable, Sendable, Hashable {
  public var requiredDuringSchedulingIgnoredDuringExecution: NodeSelector?
  public init(required: NodeSelector? = nil) { requiredDuringSchedulingIgnoredDuringExecution = required }
}

/// Selects the nodes that any of its terms selects (core/v1 NodeSelector).
public struct NodeSelector: Codable, Sendable, Hashable {
  public var nodeSelectorTerms: [NodeSelectorTerm]?
  public init(nodeSelectorTerms: [NodeSelectorTerm]) { self.nodeSelectorTerms = nodeSelectorTerms }
}

/// Selects the nodes that meet all of its requirements; none if it has no requirement (core/v1 NodeSelectorTerm).
public struct NodeSelectorTerm: Codable, Sendable, Hashable {
  /// On labels.
  public var matchExpressions: [NodeSelectorRequirement]?
  /// On fields of the Node; the only one is `metadata.name`.
  public var matchFields: [NodeSelectorRequirement]?
  public init(matchExpressions: [NodeSelectorRequirement]? = nil, matchFields: [NodeSelectorRequirement]? = nil) {
    self.matchExpressions = matchExpressions
    self.matchFields = matchFields
  }
}

public struct NodeSelectorRequirement: Codable, Sendable, Hashable {
  public var key: String
  /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
  public var `operator`: String
  /// One whole number with `Gt` and `Lt`, none with `Exists` and `DoesNotExist`.
  public var values: [String]?
  public init(key: String, operator: String, values: [String]? = nil) {
    self.key = key
    self.operator = `operator`
    self.values = values
  }
}
