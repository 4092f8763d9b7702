/// `subPathExpr`: a path with `$(NAME)` for variables of the container's environment; `$$` stands for `$`.
enum SubPathExpression {
  /// - Throws: `VolumeError` for variables that aren't set and for text that can't be a path.
  static func expand(_ expression: String, _ environment: [String: String]) throws(VolumeError) -> String {
    var expanded = ""
    var rest = Substring(expression)
    while let dollar = rest.firstIndex(of: "$") {
      expanded += rest[..<dollar]
      rest = rest[dollar...].dropFirst()
      switch rest.first {
      case "$":
        expanded += "$"
        rest = rest.dropFirst()
      case "(":
        guard let end = rest.firstIndex(of: ")") else {
          expanded += "$"
          continue
        }
        let name = String(rest[..<end].dropFirst())
        guard let value = environment[name] else {
          throw VolumeError("missing value for \"\(name)\" in subPathExpr \"\(expression)\"")
        }
        expanded += value
        rest = rest[end...].dropFirst()
      default: expanded += "$"
      }
    }
    expanded += rest
    guard !expanded.contains("`") else { throw VolumeError("unable to provision SubPath `\(expanded)`: must not contain backticks") }
    return expanded
  }
}
