/// Why a JSON value is not of the wished type, and which part of it.
public struct DecodingFailure: Error, Sendable, Hashable, CustomStringConvertible {
  /// Where in the value, from its root.
  public var path: [PathComponent]
  /// What was expected and what is there, e.g. `expected a list, found a string`. It never repeats a string of the value,
  /// which may be a secret, unless the type that refused it says so.
  public var problem: String

  public init(path: [PathComponent], problem: String) {
    self.path = path
    self.problem = problem
  }

  /// The path as people write it: `spec.containers[0].ports`; empty for the root.
  public var field: String { path.dotted }

  /// `spec.containers[0].ports: expected a list, found a string`.
  public var description: String { path.isEmpty ? problem : "\(field): \(problem)" }
}

extension DecodingFailure {
  /// What the standard library's errors say, in our words.
  init(_ error: any Error) {
    switch error {
    case let failure as DecodingFailure: self = failure
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
      DecodingError.dataCorrupted(let context):
      self.init(path: context.codingPath.map(PathComponent.init), problem: context.debugDescription)
    case DecodingError.keyNotFound(let key, let context):
      self.init(path: context.codingPath.map(PathComponent.init) + [PathComponent(key)], problem: "is missing")
    default: self.init(path: [], problem: "\(error)")
    }
  }
}

extension PathComponent {
  init(_ key: any CodingKey) {
    if let index = key.intValue, key is JSONIndexKey { self = .index(index) } else { self = .key(key.stringValue) }
  }
}

/// The place in a list, as a coding key.
struct JSONIndexKey: CodingKey {
  let index: Int
  init(_ index: Int) { self.index = index }
  init?(stringValue: String) { nil }
  init?(intValue: Int) { index = intValue }
  var stringValue: String { "\(index)" }
  var intValue: Int? { index }
}

extension JSONValue {
  /// The kind of value in words, for errors.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool(let value): "the boolean \(value)"
    case .number(let text): "the number \(text)"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}
