/// A pod (core/v1 Pod).
///
/// Names and optionality are those of the API: a field the API may leave out is optional here. Fields that a node never
/// reads are not modelled; who stores or forwards a pod keeps its original bytes.
public struct Pod: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  public var spec: PodSpec
  public var status: PodStatus?

  public init(metadata: ObjectMeta, spec: PodSpec, status: PodStatus? = nil) {
    self.apiVersion = "v1"
    self.kind = "Pod"
    self.metadata = metadata
    self.spec = spec
    self.status = status
  }
}

extension Pod {
  public var name: String { metadata.name ?? "" }
  public var namespace: String { metadata.namespace ?? "default" }
  public var uid: String { metadata.uid ?? "" }
  /// `namespace/name`, as logs and commands show it.
  public var fullName: String { "\(namespace)/\(name)" }
}
