/// `modules.metaManager`: the node's own copy of what the cloud says.
public struct MetaManagerConfiguration: Codable, Sendable, Hashable {
  public var enable = true
  /// Seconds that the cloud may take to answer a query.
  public var remoteQueryTimeout: Int32 = 60
  public init() {}
}
