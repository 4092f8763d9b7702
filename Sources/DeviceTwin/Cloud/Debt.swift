/// What the cloud has still to be told of one device.
struct Debt: Sendable, Hashable {
  struct Parts: OptionSet, Sendable, Hashable {
    let rawValue: Int64
    static let expected = Parts(rawValue: 1)
    static let actual = Parts(rawValue: 2)
    static let definition = Parts(rawValue: 4)
    /// Not a property: the device's own state.
    static let state = Parts(rawValue: 8)
  }

  /// The name under which the device's own state is owed; no property can have it.
  static let stateName = ""

  private(set) var parts: [String: Parts] = [:]

  subscript(name: String) -> Parts {
    get { parts[name] ?? [] }
    set { parts[name] = newValue.isEmpty ? nil : newValue }
  }

  var isEmpty: Bool { parts.isEmpty }
  var owesState: Bool { parts[Self.stateName] != nil }
  var properties: [String: Parts] { parts.filter { $0.key != Self.stateName } }
}
