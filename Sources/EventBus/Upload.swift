import Core

/// A message of a device for the cloud.
struct Upload: Sendable, Hashable {
  /// Of the message that carries it.
  var id: String
  /// Milliseconds since 1970 when it came.
  var time: Int64
  var topic: String
  /// The payload as a JSON string.
  var content: [UInt8]

  /// What it counts against limits, bytes.
  var size: Int { topic.utf8.count + content.count + 64 }

  init(id: String = MessageID.make(), time: Int64 = Message.Header.now, topic: String, content: [UInt8]) {
    self.id = id
    self.time = time
    self.topic = topic
    self.content = content
  }

  var message: Message {
    Message(
      header: .init(id: id, timestamp: time), route: .init(source: "bus", group: "user", operation: .upload, resource: topic),
      content: content)
  }
}
