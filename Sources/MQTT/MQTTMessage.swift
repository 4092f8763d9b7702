/// A message that came from a broker.
public struct MQTTMessage: Sendable, Hashable {
  public var topic: String
  public var payload: [UInt8]
  public var qos: Int
  /// The broker had kept it for those who subscribe.
  public var isRetained: Bool

  public init(topic: String, payload: [UInt8], qos: Int = 0, isRetained: Bool = false) {
    self.topic = topic
    self.payload = payload
    self.qos = qos
    self.isRetained = isRetained
  }

  var size: Int { topic.utf8.count + payload.count + 64 }
}

/// A message for a broker.
public struct MQTTPublication: Sendable, Hashable {
  public var topic: String
  public var payload: [UInt8]
  /// 0 to 2.
  public var qos: Int
  public var isRetained: Bool

  /// MQTT's limit of a packet, less the longest topic.
  public static let payloadLimit = 268_435_455 - 65_600

  public init(topic: String, payload: [UInt8], qos: Int, isRetained: Bool = false) {
    self.topic = topic
    self.payload = payload
    self.qos = qos
    self.isRetained = isRetained
  }

  var size: Int { topic.utf8.count + payload.count + 64 }
}

/// What happens to a client's connection.
public enum MQTTEvent: Sendable, Hashable {
  /// `sessionPresent`: the broker has kept subscriptions and messages.
  case connected(sessionPresent: Bool)
  case disconnected(reason: String)
  case connectFailed(reason: String)
  /// The broker doesn't let the client subscribe.
  case refused(filter: String)
  case unsubscribed(filter: String)
  /// Publications that were given up, and why.
  case publicationsDropped(count: Int, reason: String)
  /// Messages that came and that nobody took in time.
  case messagesDropped(count: Int)
}
