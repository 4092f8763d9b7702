/// An MQTT topic about a device or about the node's devices.
enum DeviceTopic: Sendable, Hashable {
  /// `$hw/events/device/<namespace>/<name>/…`; the older form has no namespace.
  case device(id: String, Subject)
  /// `$hw/events/node/<node>/membership/get`. What changes the membership comes from the cloud alone.
  case membershipGet

  enum Subject: String, Sendable, Hashable {
    case stateUpdate = "state/update"
    case updated
    case twinUpdate = "twin/update"
    case twinCloudUpdated = "twin/cloud_updated"
    case twinGet = "twin/get"
  }

  static let devicePrefix = "$hw/events/device/"
  static let nodePrefix = "$hw/events/node/"

  /// Nil for topics that mean nothing here.
  init?(_ topic: String) {
    let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 5, parts[0] == "$hw", parts[1] == "events" else { return nil }
    switch parts[2] {
    case "node":
      guard parts[4...] == ["membership", "get"] else { return nil }
      self = .membershipGet
    case "device":
      // With a namespace first: a name may be one of the words that follow.
      for length in [2, 1] where parts.count > 3 + length {
        let id = parts[3..<(3 + length)]
        guard id.allSatisfy({ !$0.isEmpty }), let subject = Subject(rawValue: parts[(3 + length)...].joined(separator: "/")) else {
          continue
        }
        self = .device(id: id.joined(separator: "/"), subject)
        return
      }
      return nil
    default: return nil
    }
  }

  static func device(_ id: String, _ rest: String) -> String { devicePrefix + id + "/" + rest }
  static func node(_ node: String, _ rest: String) -> String { nodePrefix + node + "/" + rest }
}
