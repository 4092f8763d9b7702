import YAML

/// What became of a device's properties, and who is to be told what.
struct TwinChange: Sendable, Hashable {
  /// What `…/twin/update/result` says of each property; null for one that was deleted.
  var result: [String: JSONValue] = [:]
  /// `{"last":…,"current":…}` for `…/twin/update/document`.
  var document: [String: JSONValue] = [:]
  /// What the edge changed, or what it holds against the cloud.
  var owed: [String: Debt.Parts] = [:]
  /// Names of properties whose rows are to be written.
  var changed: Set<String> = []

  mutating func note(_ name: String, last: Twin?, current: Twin?) {
    changed.insert(name)
    document[name] = .object([
      JSONValue.Member("last", MessageText.twin(last.flatMap { $0.isDeleted ? nil : $0 }, withVersions: false)),
      JSONValue.Member("current", MessageText.twin(current.flatMap { $0.isDeleted ? nil : $0 }, withVersions: false)),
    ])
  }
}
