import KubernetesAPI
import YAML

/// A pod's status as a strategic merge patch that is complete in itself: whatever the cloud had before, afterwards it has this.
///
/// Lists that the API merges by key are replaced as a whole, except for the conditions: those of others stay.
enum PodStatusPatch {
  private static let replace = JSONValue.object([.init("$patch", .string("replace"))])
  /// What a status may have lost since it was reported before.
  private static let clearable = ["message", "reason", "podIP"]

  static func bytes(_ status: PodStatus, uid: String) throws -> [UInt8] {
    var own = status
    own.conditions = status.conditions?.filter(PodConditions.isOwn)
    var value = try JSONValue(encoding: own)
    for field in clearable where value[field] == nil { value[field] = .null }
    for list in ["podIPs", "hostIPs"] { value[list] = .array([replace] + (value[list]?.array ?? [])) }
    if let conditions = value["conditions"]?.array {
      value["conditions"] = .array(
        conditions.map { condition in
          var condition = condition
          for field in ["reason", "message"] where condition[field] == nil { condition[field] = .null }
          return condition
        })
    }
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
      guard let statuses = value[list]?.array else { continue }
      value[list] = .array(
        statuses.map { status in
          var status = status
          // The API has these always, empty if need be.
          for field in ["state", "lastState"] where status[field] == nil { status[field] = .object([]) }
          return status
        })
    }
    let metadata = JSONValue.object([.init("uid", .string(uid))])
    return JSONValue.object([.init("metadata", metadata), .init("status", value)]).jsonBytes()
  }

  /// The status in a patch; nil if it has none.
  static func status(in patch: [UInt8]) -> (uid: String, status: PodStatus)? {
    guard let value = try? JSONValue(json: patch), let uid = value["metadata"]?["uid"]?.string, var status = value["status"] else {
      return nil
    }
    for list in ["podIPs", "hostIPs", "conditions"] {
      guard let items = status[list]?.array else { continue }
      let kept = items.filter { $0["$patch"] == nil }
      status[list] = kept.isEmpty ? nil : .array(kept)
    }
    guard let decoded: PodStatus = try? status.decode() else { return nil }
    return (uid, decoded)
  }
}
