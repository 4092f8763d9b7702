/// The configuration that an agent runs with; secrets are masked.
public struct ConfigurationSummary: Codable, Sendable, Hashable {
  /// YAML, with the source of each value that isn't the default.
  public var text: String
  /// The files that it was read from, in order.
  public var files: [String]

  public init(text: String, files: [String]) {
    self.text = text
    self.files = files
  }
}
