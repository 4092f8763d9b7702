/// `subPathExpr`: a path with `$(NAME)` for variables of the container's environment; `$$` stands for `$`.
enum SubPathExpression {
  /// - Throws: `VolumeError` for variables that aren't set or empty, and for text that can't be a path.
  static func expand(_ expression: String, _ environment: [String: String]) throws(VolumeError) -> String {
    let (expanded, missing) = VariableExpansion.expandReporting(expression) { environment[$0] }
    if let name = missing.first { throw VolumeError("missing value for \"\(name)\" in subPathExpr \"\(expression)\"") }
    guard !expanded.contains("`") else { throw VolumeError("unable to provision SubPath `\(expanded)`: must not contain backticks") }
    return expanded
  }
}
