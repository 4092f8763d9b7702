/// A container's environment variables, in the order of their first definition.
///
/// Values may come from Secrets: printing an environment shows names alone.
struct ContainerEnvironment: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  private(set) var names: [String] = []
  private var values: [String: String] = [:]

  init(_ variables: [(name: String, value: String)] = []) {
    for (name, value) in variables { self[name] = value }
  }

  /// A variable's value. Setting nil changes nothing.
  subscript(name: String) -> String? {
    get { values[name] }
    set {
      guard let newValue else { return }
      if values.updateValue(newValue, forKey: name) == nil { names.append(name) }
    }
  }

  var variables: [(name: String, value: String)] { names.map { ($0, values[$0] ?? "") } }

  /// Replaces `$(NAME)`; what isn't defined stays literally.
  func expand(_ text: String) -> String { VariableExpansion.expand(text) { values[$0] } }

  var description: String { "environment of \(names.joined(separator: ", "))" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: ["names": names]) }
}
