import YAML

/// Strategic merge patches, for the fields of pods and nodes.
enum StrategicMerge {
  /// The keys by which items of lists are matched; lists that aren't here are replaced as a whole.
  private static let mergeKeys = [
    "status.conditions": "type", "status.podIPs": "ip", "status.hostIPs": "ip", "status.addresses": "type",
    "status.resourceClaimStatuses": "name", "metadata.ownerReferences": "uid", "spec.containers": "name", "spec.initContainers": "name",
    "spec.volumes": "name", "spec.imagePullSecrets": "name", "spec.hostAliases": "ip",
  ]
  /// Lists of plain values that are merged as sets.
  private static let sets: Set<String> = ["metadata.finalizers", "spec.podCIDRs"]

  static func apply(_ patch: JSONValue, to original: JSONValue) -> JSONValue { merge(original, patch, path: "") }

  private static func merge(_ original: JSONValue, _ patch: JSONValue, path: String) -> JSONValue {
    guard let members = patch.object else { return patch }
    switch patch["$patch"]?.string {
    case "replace":
      var value = patch
      value["$patch"] = nil
      return value
    case "delete": return .empty
    default: break
    }
    var result = original.object == nil ? JSONValue.empty : original
    for member in members where !member.key.hasPrefix("$") {
      let here = path.isEmpty ? member.key : "\(path).\(member.key)"
      switch member.value {
      case .null: result[member.key] = nil
      case .object: result[member.key] = merge(result[member.key] ?? .empty, member.value, path: here)
      case .array(let items): result[member.key] = .array(merge(result[member.key]?.array ?? [], items, path: here))
      default: result[member.key] = member.value
      }
    }
    for member in members where member.key.hasPrefix("$") {
      let parts = member.key.split(separator: "/", maxSplits: 1)
      guard parts.count == 2, let wanted = member.value.array else { continue }
      let key = String(parts[1])
      let here = path.isEmpty ? key : "\(path).\(key)"
      guard let items = result[key]?.array else { continue }
      switch parts[0] {
      case "$setElementOrder": result[key] = .array(sort(items, wanted, by: mergeKeys[here]))
      case "$deleteFromPrimitiveList": result[key] = .array(items.filter { !wanted.contains($0) })
      default: break
      }
    }
    return result
  }

  private static func merge(_ original: [JSONValue], _ patch: [JSONValue], path: String) -> [JSONValue] {
    if patch.contains(where: { $0["$patch"]?.string == "replace" }) { return patch.filter { $0["$patch"]?.string != "replace" } }
    if sets.contains(path) { return original + patch.filter { !original.contains($0) } }
    guard let key = mergeKeys[path] else { return patch }
    var result = original
    for item in patch {
      let place = result.firstIndex { $0[key] == item[key] }
      if item["$patch"]?.string == "delete" {
        if let place { result.remove(at: place) }
      } else if let place {
        result[place] = merge(result[place], item, path: "\(path)[]")
      } else {
        result.append(item)
      }
    }
    return result
  }

  /// What the patch orders comes first and in that order; what only the original has follows as it was.
  private static func sort(_ items: [JSONValue], _ order: [JSONValue], by key: String?) -> [JSONValue] {
    func place(_ item: JSONValue) -> Int? {
      order.firstIndex { wanted in
        if let key { wanted[key] == item[key] } else { wanted == item }
      }
    }
    let ordered = items.compactMap { item in place(item).map { ($0, item) } }.sorted { $0.0 < $1.0 }.map(\.1)
    return ordered + items.filter { place($0) == nil }
  }
}
