/// `modules.dbTest`: the module through which tests put objects into a node without a cloud.
public struct DBTestConfiguration: Codable, Sendable, Hashable {
  public var enable = false
  public init() {}
}
