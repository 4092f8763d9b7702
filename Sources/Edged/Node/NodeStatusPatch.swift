import KubernetesAPI
import YAML

/// Compares a node's status with the one that the cloud has, and brings the cloud's up to date.
enum NodeStatusPatch {
  /// Whether the cloud has to be told now: anything is different but the heartbeats. What others put into the status doesn't count.
  static func differs(_ status: NodeStatus, from known: NodeStatus) -> Bool {
    for condition in status.conditions ?? [] {
      guard var other = known.condition(condition.type) else { return true }
      other.lastHeartbeatTime = condition.lastHeartbeatTime
      if other != condition { return true }
    }
    return status.capacity ?? [:] != known.capacity ?? [:] || status.allocatable ?? [:] != known.allocatable ?? [:]
      || status.addresses ?? [] != known.addresses ?? [] || status.nodeInfo != known.nodeInfo
      || status.images ?? [] != known.images ?? [] || status.volumesInUse ?? [] != known.volumesInUse ?? []
      || status.features?.supplementalGroupsPolicy ?? false != known.features?.supplementalGroupsPolicy ?? false
  }

  /// A strategic merge patch that leaves the cloud with `status`, whatever it has now: complete, since the cloud itself changes
  /// conditions of nodes it didn't hear from, and reports are rare.
  ///
  /// - Parameter known: what the cloud has as far as is known; it tells what has to be taken away.
  static func patch(to status: NodeStatus, known: NodeStatus?) throws -> JSONValue {
    var status = status
    // Theirs: the tunnel's port is the cloud's to say, and so is what is attached.
    status.daemonEndpoints = nil
    status.volumesAttached = nil
    status.phase = nil
    var body = try JSONValue(encoding: status)
    for (key, new, old) in [("capacity", status.capacity, known?.capacity), ("allocatable", status.allocatable, known?.allocatable)] {
      for resource in (old ?? [:]).keys.sorted() where new?[resource] == nil { body[key]?[resource] = .null }
    }
    // Addresses would be merged by their type, of which there can be two: the whole list takes the place of the old.
    if case .array(let addresses)? = body["addresses"] {
      body["addresses"] = .array([.object([.init("$patch", .string("replace"))])] + addresses)
    }
    if status.images == nil, known?.images?.isEmpty == false { body["images"] = .null }
    if status.volumesInUse == nil, known?.volumesInUse?.isEmpty == false { body["volumesInUse"] = .null }
    if status.features == nil, known?.features != nil { body["features"] = .null }
    return .object([.init("status", body)])
  }
}
