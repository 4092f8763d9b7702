import Core
import Glibc
import LocalAPI
import Logging
import ServiceLifecycle
import Synchronization
import TestBroker
import Testing
import YAML

@testable import EventBus
@testable import MQTT

struct WaitedTooLong: Error, CustomStringConvertible {
  var description: String
}

func wait(_ what: String, _ holds: () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(60)
  while try await !holds() {
    guard ContinuousClock.now < deadline else { throw WaitedTooLong(description: "waited for \(what)") }
    try await Task.sleep(for: .milliseconds(10))
  }
}

/// A folder of a test; gone with its last reference.
final class TestFolder: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/eventbus-test-XXXXXX".utf8CString)
    mkdtemp(&template)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { TestBroker.removeTree(path) }
}

/// What EdgeHub does for EventBus, as far as a test wants it.
final class TestHub: Sendable {
  struct State {
    var isConnected = true
    var uploads: [Message] = []
    /// From this upload on the connection is lost.
    var losesAt: Int?
    var isSlow = false
  }

  let state = Mutex(State())
  var uploads: [Message] { state.withLock { $0.uploads } }

  func run(_ channel: ChannelContext) async {
    for await message in channel.messages(for: .websocket) {
      if message.operation == .query {
        let summary = CloudSummary(
          server: "cloud:1", connected: state.withLock { $0.isConnected }, since: "", connections: 1, certificateUntil: nil, sent: 0,
          received: 0, owed: nil, errors: [])
        if let value = try? JSONValue(encoding: summary) {
          channel.respond(to: message, with: .reply(to: message, content: value.jsonBytes()))
        }
        continue
      }
      if state.withLock({ $0.isSlow }) { try? await Task.sleep(for: .milliseconds(20)) }
      let isSent = state.withLock { state in
        if let limit = state.losesAt, state.uploads.count >= limit { state.isConnected = false }
        if state.isConnected { state.uploads.append(message) }
        return state.isConnected
      }
      if !isSent {
        let back = Message(
          header: .init(parentID: message.id),
          route: .init(source: "websocket", group: "bus", operation: .error, resource: message.resource),
          content: message.content)
        try? await channel.send(back, to: .eventBus)
      }
      if message.header.sync {
        channel.respond(to: message, with: .reply(to: message, operation: isSent ? .response : .error))
      }
    }
  }

  func set(connected: Bool, _ channel: ChannelContext) async throws {
    state.withLock { state in
      state.isConnected = connected
      if connected { state.losesAt = nil }
    }
    try await channel.send((connected ? CloudConnection.connected : .disconnected).message, toGroup: .bus)
  }
}

/// An EventBus with the modules around it that a test plays.
struct TestBus: Sendable {
  static let node = "edge-1"

  let folder: TestFolder
  let channel = ChannelContext()
  let hub = TestHub()
  let bus: EventBus

  init(
    _ broker: TestBroker?, folder: TestFolder = TestFolder(), adjust: (inout EventBusConfiguration, inout BusTiming) -> Void = { _, _ in }
  )
    throws
  {
    self.folder = folder
    var configuration = EventBusConfiguration()
    if let broker { configuration.mqttServerExternal = "tcp://127.0.0.1:\(broker.port)" }
    var timing = BusTiming()
    timing.uploads.pause = .milliseconds(50)
    timing.adjust = { options in
      options.firstDelay = .milliseconds(30)
      options.longestDelay = .milliseconds(200)
    }
    adjust(&configuration, &timing)
    bus = EventBus(
      configuration: configuration, nodeName: Self.node, databasePath: folder.path + "/edgecore.db", channel: channel, timing: timing)
    try channel.register(.websocket, group: .hub)
    try channel.register(.eventBus, group: .bus)
    try channel.register(.twin, group: .twin)
  }

  /// Runs the bus while `body` runs, and stops it gracefully.
  @discardableResult
  func run<T: Sendable>(_ body: @escaping @Sendable (TestBus) async throws -> T) async throws -> T {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [bus], logger: logger)
    let hub = Task { await self.hub.run(channel) }
    defer { hub.cancel() }
    return try await withThrowingTaskGroup(of: T?.self) { tasks in
      tasks.addTask {
        try await group.run()
        return nil
      }
      do {
        let value = try await body(self)
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
        return value
      } catch {
        Issue.record("\((try? await summary()).map { "\($0)" } ?? "no status"): \(error)")
        await group.triggerGracefulShutdown()
        throw error
      }
    }
  }

  func summary() async throws -> BusSummary {
    let query = Message(route: .init(source: "test", group: "bus", operation: .query, resource: "mqtt"))
    return try await channel.request(query, to: .eventBus, timeout: .seconds(20)).decodeContent()
  }

  @discardableResult
  func summary(_ what: String, where fits: (BusSummary) -> Bool) async throws -> BusSummary {
    var last: BusSummary?
    do {
      try await wait(what) {
        let summary = try await summary()
        last = summary
        return fits(summary)
      }
    } catch is WaitedTooLong {
      throw WaitedTooLong(description: "waited for \(what): \(last.map { "\($0)" } ?? "nothing")")
    }
    guard let last else { throw WaitedTooLong(description: what) }
    return last
  }

  func connected(times: Int = 1) async throws {
    try await summary("connection") { $0.brokers.allSatisfy { $0.connected && $0.connections >= times } }
  }

  /// What the cloud's router says.
  func rule(_ operation: Message.Operation, _ resource: String, _ content: String = "null", source: String = "router_eventbus") async throws
  {
    try await channel.send(
      Message(route: .init(source: source, group: "user", operation: operation, resource: resource), content: Array(content.utf8)),
      toGroup: .bus)
  }

  func uploads(_ count: Int) async throws -> [Message] {
    try await wait("\(count) uploads, there are \(hub.uploads.count)") { hub.uploads.count >= count }
    return hub.uploads
  }
}

/// A client that plays devices.
final class Device: Sendable {
  let client: MQTTClient

  init(_ port: Int, _ filters: [String] = [], adjust: (inout MQTTOptions) -> Void = { _ in }) async throws {
    var options = MQTTOptions(server: .tcp(host: "127.0.0.1", port: port), clientID: "device-\(UInt32.random(in: 0...UInt32.max))")
    options.keepsSession = false
    options.firstDelay = .milliseconds(30)
    options.longestDelay = .milliseconds(100)
    options.outboxCount = 1_000_000
    options.outboxBytes = 1 << 30
    adjust(&options)
    client = try MQTTClient(options)
    client.subscribe(filters + ["probe/\(options.clientID)"])
    try client.start()
    // What it hears of itself proves that it has subscribed.
    client.publish(.init(topic: "probe/\(options.clientID)", payload: [], qos: 1))
    _ = await client.messages(limit: 1)
  }

  func publish(_ topic: String, _ payload: String, qos: Int = 1, isRetained: Bool = false) {
    client.publish(.init(topic: topic, payload: Array(payload.utf8), qos: qos, isRetained: isRetained))
  }

  func publish(_ topic: String, bytes: [UInt8]) { client.publish(.init(topic: topic, payload: bytes, qos: 1)) }

  func receive(_ count: Int) async throws -> [MQTTMessage] {
    var messages: [MQTTMessage] = []
    while messages.count < count, let more = await client.messages(limit: count - messages.count) { messages += more }
    return messages
  }

  func stop() async { await client.stop() }
}

extension MQTTMessage {
  var text: String { String(decoding: payload, as: UTF8.self) }
}

extension Message {
  var text: String? { (try? JSONValue(json: content))?.string }
}

/// A client with a password, and what became of its connection.
final class MQTTProbe: Sendable {
  private final class Box: Sendable {
    let events = Mutex<[MQTTEvent]>([])
  }

  private let client: MQTTClient
  private let box = Box()

  init(_ port: Int, user: String?, password: String?) throws {
    var options = MQTTOptions(server: .tcp(host: "127.0.0.1", port: port), clientID: "probe-\(UInt32.random(in: 0...UInt32.max))")
    options.keepsSession = false
    options.firstDelay = .milliseconds(30)
    options.user = user
    options.password = password
    client = try MQTTClient(options) { [box] event in box.events.withLock { $0.append(event) } }
    try client.start()
  }

  func publish(_ topic: String, _ payload: String) { client.publish(.init(topic: topic, payload: Array(payload.utf8), qos: 1)) }
  func connected() async throws { try await wait("connection") { client.isConnected } }
  func refused() async throws {
    try await wait("refusal") {
      box.events.withLock { events in
        events.contains { if case .connectFailed(let reason) = $0 { reason.contains("refuses") } else { false } }
      }
    }
  }
  func stop() async { await client.stop() }
}
