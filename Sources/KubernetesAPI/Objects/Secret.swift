/// Small secrets for pods (core/v1 Secret): bytes by key. Printing one never shows a value.
public struct Secret: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  /// `Opaque`, `kubernetes.io/dockerconfigjson`, … The API defaults it to `Opaque`.
  public var type: String?
  public var data: [String: Base64Bytes]?
  /// True: only the metadata of this object can still change.
  public var immutable: Bool?

  public init(metadata: ObjectMeta, type: String? = nil, data: [String: Base64Bytes]? = nil, immutable: Bool? = nil) {
    apiVersion = "v1"
    kind = "Secret"
    self.metadata = metadata
    self.type = type
    self.data = data
    self.immutable = immutable
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "secret \(metadata.namespace ?? "")/\(metadata.name ?? "") with \(data?.count ?? 0) values" }
  public var debugDescription: String { description }
  // Annotations may repeat the values, as those of `kubectl apply` do.
  public var customMirror: Mirror { Mirror(self, children: ["name": metadata.name ?? "", "keys": (data ?? [:]).keys.sorted()]) }
}
