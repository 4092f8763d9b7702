import KubernetesAPI

/// What pods may know of the node they run on.
public struct NodeFacts: Sendable, Hashable {
  /// The node's name in the cluster: `hostnameOverride`.
  public var name: String
  /// Addresses of the host, primary first.
  public var hostIPs: [String]
  /// By resource name: `cpu`, `memory`, `ephemeral-storage`, `hugepages-…`, `pods`.
  public var capacity: [String: Quantity]
  /// Capacity less what is reserved for the system.
  public var allocatable: [String: Quantity]

  public init(name: String, hostIPs: [String], capacity: [String: Quantity], allocatable: [String: Quantity]) {
    self.name = name
    self.hostIPs = hostIPs
    self.capacity = capacity
    self.allocatable = allocatable
  }
}
