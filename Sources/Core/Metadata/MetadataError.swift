import YAML

/// Why the metadata store, or the cloud behind it, did not do what it was asked for.
public struct MetadataError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Kind: String, Sendable, Hashable, Codable {
    /// The cloud has no such object, or there is no copy of it here and the cloud is away.
    case notFound, alreadyExists, conflict
    /// The cloud is away, and only it could answer.
    case offline
    /// No answer came in time.
    case timeout
    /// The cloud refused, for another reason than those above.
    case refused
    /// The store is not there or failed.
    case unavailable
  }

  public var kind: Kind
  /// For people; holds no content of objects.
  public var message: String

  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  public var description: String { message }
}

extension MetadataError {
  /// An error as it is in messages: `{"kind":"notFound","message":"…"}`.
  public var content: [UInt8] {
    JSONValue.object([.init("kind", .string(kind.rawValue)), .init("message", .string(message))]).jsonBytes()
  }

  /// Reads the content of a message with the operation `error`.
  public init(content: [UInt8]) {
    let value = try? JSONValue(json: content)
    kind = (value?["kind"]?.string).flatMap(Kind.init(rawValue:)) ?? .unavailable
    message = value?["message"]?.string ?? value?.string ?? "the answer was an error without words"
  }
}
