import MQTT

/// Which topics the agent has to do with.
enum Topics {
  /// What is always subscribed. Clients of older versions name devices without a namespace.
  static let builtIn = [
    "$hw/events/upload/#", "$hw/events/device/+/+/state/update", "$hw/events/device/+/+/twin/+", "$hw/events/device/+/state/update",
    "$hw/events/device/+/twin/+", "$hw/events/node/+/membership/get", "SYS/dis/upload_records", "+/user/#",
  ]

  /// Whether messages of a topic are about device twins; the others are for the cloud.
  static func isForTwins(_ topic: String) -> Bool {
    guard topic.utf8.first == 0x24 else { return false }
    return isBelow("$hw/events/device", topic) || isBelow("$hw/events/node", topic)
  }

  private static func isBelow(_ root: String, _ topic: String) -> Bool {
    guard topic.hasPrefix(root) else { return false }
    let rest = topic.utf8.dropFirst(root.utf8.count)
    return rest.isEmpty || rest.first == 0x2F
  }

  /// What is to be subscribed for these rules. A rule's topic that a built-in filter covers is left out: brokers may send a message once
  /// for each filter that matches.
  static func filters(rules: [String]) -> [String] {
    let covering = builtIn.compactMap { TopicFilter($0) }
    return builtIn
      + rules.filter { rule in
        guard let filter = TopicFilter(rule), !builtIn.contains(rule) else { return false }
        return filter.hasWildcards || !covering.contains { $0.matches(rule) }
      }
  }

  static func authorizationResult(node: String) -> String { "$hw/events/node/\(node)/authInfo/get/result" }
}
