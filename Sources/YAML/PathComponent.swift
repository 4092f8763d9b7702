/// One step from a value to a value inside it.
public enum PathComponent: Sendable, Hashable {
  case key(String)
  case index(Int)
}

extension Sequence where Element == PathComponent {
  /// The path as people write it: `spec.containers[0].ports`; a key that holds a dot or a bracket is quoted: `labels["a.b/c"]`.
  public var dotted: String {
    var text = ""
    for component in self {
      switch component {
      case .index(let index): text += "[\(index)]"
      case .key(let key):
        if key.isEmpty || key.utf8.contains(where: { $0 == 0x2E || $0 == 0x5B || $0 == 0x5D || $0 == 0x22 }) {
          text += "[\(JSONValue.string(key).jsonText())]"
        } else {
          text += text.isEmpty ? key : ".\(key)"
        }
      }
    }
    return text
  }
}
