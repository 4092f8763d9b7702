import Core
import MQTT
import YAML

/// Hands a broker's messages to those they are for.
struct MessageRouter: Sendable {
  let link: BrokerLink
  let uploader: Uploader
  let status: BusStatus
  let channel: ChannelContext

  /// Runs until the client has stopped and everything it had is handed over.
  func run() async {
    while let batch = await link.client.messages(limit: 256) {
      link.status.noteReceived(batch.count)
      await route(batch)
    }
  }

  private func route(_ batch: [MQTTMessage]) async {
    var uploads: [Upload] = []
    var echoes = 0
    var strays = 0
    var toTwins = 0
    for message in batch {
      if Topics.isForTwins(message.topic), link.echoes.wants(message.topic) {
        // Also what a rule of the cloud publishes; what twins publish themselves they don't listen to.
        if await sendToTwins(message) { toTwins += 1 }
      } else if link.echoes.swallows(message) {
        echoes += 1
      } else if !link.echoes.wants(message.topic) {
        strays += 1
      } else {
        uploads.append(Upload(topic: message.topic, content: Self.content(message.payload)))
      }
    }
    status.noteEchoes(echoes)
    status.noteStrays(strays)
    status.noteToTwins(toTwins)
    if !uploads.isEmpty { await uploader.add(uploads) }
  }

  private func sendToTwins(_ message: MQTTMessage) async -> Bool {
    let route = Message.Route(source: "bus", group: "user", operation: .response, resource: message.topic)
    do {
      try await channel.send(Message(route: route, content: Self.content(message.payload)), to: .twin)
      return true
    } catch {
      status.noteLostForTwins(1)
      status.bursts.note("twin", "a message for device twins was dropped: \(error)")
      return false
    }
  }

  /// The payload as a JSON string; what is no UTF-8 becomes U+FFFD.
  static func content(_ payload: [UInt8]) -> [UInt8] { JSONValue.string(String(decoding: payload, as: UTF8.self)).jsonBytes() }
}
