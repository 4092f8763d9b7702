/// Why a text is no usable YAML, and where.
public struct YAMLError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Counted from 1; 0 if the problem has no place (e.g. the text is too long).
  public var line: Int
  /// Counted from 1; 0 if the problem has no place.
  public var column: Int
  public var problem: String

  public init(line: Int, column: Int, problem: String) {
    self.line = line
    self.column = column
    self.problem = problem
  }

  public var description: String { line > 0 ? "line \(line), column \(column): \(problem)" : problem }
}
