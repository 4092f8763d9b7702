import CMosquitto

/// What is subscribed on one connection, and what the broker has not yet answered.
struct Subscriptions {
  private enum Request {
    case subscribe(String)
    case unsubscribe(String)
  }

  private var requests: [Int32: Request] = [:]
  private var subscribed: Set<String> = []

  /// Asks the broker for what is missing, and to forget what is too much.
  mutating func synchronize(_ mosquitto: OpaquePointer, wanted: [String], leaving: [String]) {
    let wished = Set(wanted)
    for filter in subscribed.subtracting(wished).union(leaving).subtracting(wished) {
      var id: Int32 = 0
      guard mosquitto_unsubscribe(mosquitto, &id, filter) == MOSQ_ERR_SUCCESS.rawValue else { continue }
      requests[id] = .unsubscribe(filter)
      subscribed.remove(filter)
    }
    for filter in wanted where !subscribed.contains(filter) {
      var id: Int32 = 0
      guard mosquitto_subscribe(mosquitto, &id, filter, 1) == MOSQ_ERR_SUCCESS.rawValue else { continue }
      requests[id] = .subscribe(filter)
      subscribed.insert(filter)
    }
  }

  /// - Returns: what the broker has answered about; nil if nobody asked.
  mutating func noteSubscribed(_ id: Int32) -> String? {
    guard case .subscribe(let filter)? = requests.removeValue(forKey: id) else { return nil }
    return filter
  }

  /// - Returns: what the broker has forgotten; nil if nobody asked.
  mutating func noteUnsubscribed(_ id: Int32) -> String? {
    guard case .unsubscribe(let filter)? = requests.removeValue(forKey: id) else { return nil }
    return filter
  }
}
