/// Publications that the broker has not confirmed.
struct Outstanding {
  static let limit = 256
  /// QoS 2 takes four packets each; brokers allow few at a time.
  private static let limitOfQoS2 = 16

  private var ids: Set<Int32> = []
  private var idsOfQoS2: Set<Int32> = []

  var isEmpty: Bool { ids.isEmpty }
  /// Whether nothing more should be published for now.
  var isFull: Bool { ids.count >= Self.limit || idsOfQoS2.count >= Self.limitOfQoS2 }

  /// Publications of QoS 0 aren't confirmed, and not counted.
  mutating func add(_ id: Int32, qos: Int) {
    if qos > 0 { ids.insert(id) }
    if qos == 2 { idsOfQoS2.insert(id) }
  }

  mutating func remove(_ id: Int32) {
    ids.remove(id)
    idsOfQoS2.remove(id)
  }
}
