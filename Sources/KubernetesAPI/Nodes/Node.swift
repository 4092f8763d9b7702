/// A node of the cluster (core/v1 Node).
public struct Node: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  public var spec: NodeSpec?
  public var status: NodeStatus?

  public init(metadata: ObjectMeta, spec: NodeSpec? = nil, status: NodeStatus? = nil) {
    self.apiVersion = "v1"
    self.kind = "Node"
    self.metadata = metadata
    self.spec = spec
    self.status = status
  }
}

/// What a node is meant to be (core/v1 NodeSpec).
public struct NodeSpec: Codable, Sendable, Hashable {
  public var podCIDR: String?
  public var podCIDRs: [String]?
  public var providerID: String?
  /// New pods are not meant to come here.
  public var unschedulable: Bool?
  public var taints: [Taint]?
  public init() {}
}

/// Keeps away, or drives out, pods that don't tolerate it (core/v1 Taint).
public struct Taint: Codable, Sendable, Hashable {
  public var key: String
  public var value: String?
  /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
  public var effect: String
  public var timeAdded: Timestamp?

  public init(key: String, value: String? = nil, effect: String) {
    self.key = key
    self.value = value
    self.effect = effect
  }

  /// On nodes that new pods are not meant to come to.
  public static let unschedulable = Taint(key: "node.kubernetes.io/unschedulable", effect: "NoSchedule")
}
