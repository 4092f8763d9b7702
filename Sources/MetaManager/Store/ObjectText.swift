import YAML

/// Objects as they are stored: with their kind, as the cloud pushes them.
enum ObjectText {
  private static let kinds = ["pod": "Pod", "node": "Node"]

  /// Adds kind and apiVersion where an answer of the cloud leaves them out.
  static func complete(_ object: [UInt8], type: String) -> [UInt8] {
    guard let kind = kinds[type], let members = try? JSONScan.members(of: object), !members.contains(where: { $0.key == "kind" }),
      let start = object.firstIndex(of: 0x7B)
    else { return object }
    let head = #"{"kind":"\#(kind)","apiVersion":"v1""# + (members.isEmpty ? "" : ",")
    return Array(head.utf8) + object[(start + 1)...]
  }
}
