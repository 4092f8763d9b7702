/// A claim that ends unless it is renewed (coordination.k8s.io/v1 Lease): a node's sign of life.
public struct Lease: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  public var spec: LeaseSpec?

  public init(metadata: ObjectMeta, spec: LeaseSpec? = nil) {
    self.apiVersion = "coordination.k8s.io/v1"
    self.kind = "Lease"
    self.metadata = metadata
    self.spec = spec
  }
}

public struct LeaseSpec: Codable, Sendable, Hashable {
  public var holderIdentity: String?
  public var leaseDurationSeconds: Int32?
  public var acquireTime: MicroTime?
  public var renewTime: MicroTime?
  public var leaseTransitions: Int32?
  public init() {}
}
