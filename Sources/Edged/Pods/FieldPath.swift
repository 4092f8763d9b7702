import YAML

/// Where in an object a field is, built step by step: `path["spec"]["containers"][0]`.
struct FieldPath: Sendable, Hashable, CustomStringConvertible {
  var components: [PathComponent] = []

  subscript(key: String) -> FieldPath { FieldPath(components: components + [.key(key)]) }
  subscript(index: Int) -> FieldPath { FieldPath(components: components + [.index(index)]) }

  /// `spec.containers[0]`
  var description: String { components.dotted }
}

/// What is wrong with one field of an object, in words for whoever wrote it.
public struct FieldProblem: Sendable, Hashable, CustomStringConvertible {
  public var path: [PathComponent]
  /// Begins with the value where that helps, and says what is allowed.
  public var message: String

  /// `spec.containers[0].volumeMounts[0].name`
  public var field: String { path.dotted }

  public var description: String { path.isEmpty ? message : "\(field): \(message)" }
}
