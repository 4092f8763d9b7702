import Synchronization
import Testing

@testable import MQTT

/// A client and everything it heard.
final class TestClient: Sendable {
  let client: MQTTClient
  private let box: EventBox

  final class EventBox: Sendable {
    let events = Mutex<[MQTTEvent]>([])
  }

  init(_ port: Int, id: String = "test-\(UInt32.random(in: 0...UInt32.max))", adjust: (inout MQTTOptions) -> Void = { _ in }) throws {
    var options = MQTTOptions(server: .tcp(host: "127.0.0.1", port: port), clientID: id)
    options.firstDelay = .milliseconds(30)
    options.longestDelay = .milliseconds(100)
    options.keepsSession = false
    adjust(&options)
    let box = EventBox()
    self.box = box
    client = try MQTTClient(options) { event in box.events.withLock { $0.append(event) } }
  }

  var events: [MQTTEvent] { box.events.withLock { $0 } }

  func waitForEvent(_ what: String, _ fits: (MQTTEvent) -> Bool) async throws {
    try await wait(what) { self.events.contains(where: fits) }
  }

  func connected(times: Int = 1) async throws {
    try await wait("connection") {
      self.events.filter { if case .connected = $0 { true } else { false } }.count >= times && self.client.isConnected
    }
  }

  func wait(_ what: String, _ holds: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !holds() {
      guard ContinuousClock.now < deadline else { throw MQTTError("waited for \(what): \(events)") }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  /// The next messages.
  func receive(_ count: Int) async throws -> [MQTTMessage] {
    var messages: [MQTTMessage] = []
    while messages.count < count {
      let missing = count - messages.count
      guard let more = await client.messages(limit: missing) else { throw MQTTError("the client has stopped") }
      messages += more
    }
    return messages
  }

  func publish(_ topic: String, _ payload: String, qos: Int = 1, isRetained: Bool = false) {
    client.publish(MQTTPublication(topic: topic, payload: Array(payload.utf8), qos: qos, isRetained: isRetained))
  }
}

extension MQTTMessage {
  var text: String { String(decoding: payload, as: UTF8.self) }
}
