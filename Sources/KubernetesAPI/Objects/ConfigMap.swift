/// Configuration for pods (core/v1 ConfigMap): text and bytes by key; a key is in one of the two.
public struct ConfigMap: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  public var data: [String: String]?
  /// Values that are no UTF-8. They become files, never variables.
  public var binaryData: [String: Base64Bytes]?
  /// True: only the metadata of this object can still change.
  public var immutable: Bool?

  public init(metadata: ObjectMeta, data: [String: String]? = nil, binaryData: [String: Base64Bytes]? = nil, immutable: Bool? = nil) {
    apiVersion = "v1"
    kind = "ConfigMap"
    self.metadata = metadata
    self.data = data
    self.binaryData = binaryData
    self.immutable = immutable
  }
}
