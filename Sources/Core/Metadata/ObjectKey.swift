/// Where an object is in the metadata store and on the wire: `default/pod/nginx`, `null/node/edge-1`.
public struct ObjectKey: Sendable, Hashable, CustomStringConvertible {
  /// What stands in place of a namespace for objects that have none.
  public static let clusterScope = "null"

  public var namespace: String
  /// The kind in lower case, as KubeEdge has it: `pod`, `configmap`, `podpatch`, `serviceaccounttoken` …
  public var type: String
  public var name: String

  public init(namespace: String = Self.clusterScope, type: String, name: String) {
    self.namespace = namespace
    self.type = type
    self.name = name
  }

  /// Reads `namespace/type/name`; nil for any other number of parts, and for empty ones.
  public init?(resource: String) {
    let parts = resource.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
    self.init(namespace: String(parts[0]), type: String(parts[1]), name: String(parts[2]))
  }

  public var resource: String { "\(namespace)/\(type)/\(name)" }
  public var description: String { resource }

  /// The type in a resource of two parts (`namespace/type`) or three (`namespace/type/name`).
  public static func type(ofResource resource: String) -> String? {
    let parts = resource.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2 || parts.count == 3 ? String(parts[1]) : nil
  }
}
