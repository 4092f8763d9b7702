/// A row of the agent's store.
public struct StoredRow: Codable, Sendable, Hashable {
  public var key: String
  public var type: String
  /// Bytes.
  public var size: Int

  public init(key: String, type: String, size: Int) {
    self.key = key
    self.type = type
    self.size = size
  }
}
