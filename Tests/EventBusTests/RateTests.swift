import CloudSimulator
import Core
import EdgeHub
import Glibc
import Logging
import ServiceLifecycle
import TestBroker
import Testing

@testable import EventBus
@testable import MQTT

/// Not a test of anything: prints how fast things are. `EVENTBUS_RATE=1 swift test --filter RateTests`
@Suite(.enabled(if: getenv("EVENTBUS_RATE") != nil), .serialized) struct RateTests {
  private static let payload = String(repeating: "x", count: 256)

  private func rate(_ count: Int, since began: ContinuousClock.Instant) -> Int {
    Int(Double(count) / ((ContinuousClock.now - began) / .seconds(1)))
  }

  @Test func `devices to the hub`() async throws {
    let broker = try await TestBroker()
    try await broker.start()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      let began = ContinuousClock.now
      for _ in 0..<30_000 { device.publish("n/user/x", Self.payload) }
      _ = try await bus.uploads(30_000)
      print(
        "RATE devices to the hub, QoS 1, 256 bytes: \(rate(30_000, since: began)) messages/s; \(try await bus.summary().stored) on the disk"
      )
      await device.stop()
    }
  }

  @Test func `devices to twins and back, three answers each`() async throws {
    let broker = try await TestBroker()
    try await broker.start()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let twins = Task {
        var messages = bus.channel.messages(for: .twin).makeAsyncIterator()
        while let batch = await messages.nextBatch(limit: 256) {
          for message in batch {
            for answer in ["result", "document", "delta"] {
              let route = Message.Route(source: "twin", group: "bus", operation: .publish, resource: "\(message.resource)/\(answer)")
              try? await bus.channel.send(Message(route: route, content: message.payload), to: .eventBus)
            }
          }
        }
      }
      let device = try await Device(broker.port, ["$hw/events/device/+/+/twin/update/+"]) { $0.inboxCount = 1_000_000 }
      let began = ContinuousClock.now
      for _ in 0..<10_000 { device.publish("$hw/events/device/ns/d/twin/update", #"{"twin":{"t":{"actual":{"value":"1"}}}}"#) }
      let deadline = Task {
        try await Task.sleep(for: .seconds(40))
        await device.stop()
      }
      let count = try await device.receive(30_000).count
      deadline.cancel()
      #expect(count == 30_000)
      print(
        "RATE twin updates with three answers: \(rate(10_000, since: began)) updates/s; \(try await bus.summary().brokers[0].dropped) dropped"
      )
      twins.cancel()
      await device.stop()
    }
  }

  @Test func `devices to the cloud`() async throws {
    let broker = try await TestBroker()
    try await broker.start()
    var cloudConfiguration = CloudSimulator.Configuration()
    cloudConfiguration.keepaliveTimeout = .seconds(60)
    let cloud = try await CloudSimulator.start(cloudConfiguration)
    let folder = TestFolder()
    let channel = ChannelContext()
    var hubConfiguration = EdgeHubConfiguration()
    hubConfiguration.httpServer = cloud.httpServer
    hubConfiguration.websocket.server = cloud.websocketServer
    hubConfiguration.tlsCaFile = folder.path + "/ca.crt"
    hubConfiguration.tlsCertFile = folder.path + "/node.crt"
    hubConfiguration.tlsPrivateKeyFile = folder.path + "/node.key"
    hubConfiguration.bootstrapFile = folder.path + "/bootstrap"
    hubConfiguration.token = cloud.token
    hubConfiguration.messageQPS = 0
    let hub = EdgeHub(configuration: hubConfiguration, nodeName: "edge-1", configurationFiles: [], channel: channel)
    var configuration = EventBusConfiguration()
    configuration.mqttServerExternal = "tcp://127.0.0.1:\(broker.port)"
    let bus = EventBus(configuration: configuration, nodeName: "edge-1", databasePath: folder.path + "/edgecore.db", channel: channel)
    try channel.register(.websocket, group: .hub)
    try channel.register(.eventBus, group: .bus)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [hub, bus], logger: logger)
    let running = Task { try? await group.run() }
    try await cloud.waitUntilConnected("edge-1")
    try await Task.sleep(for: .seconds(1))
    let device = try await Device(broker.port)
    let count = 20_000
    let began = ContinuousClock.now
    for _ in 0..<(count - 1) { device.publish("n/user/x", Self.payload) }
    device.publish("n/user/end", "end")
    _ = try await cloud.message(.toCloud, within: .seconds(120)) { $0.resource.hasSuffix("n/user/end") }
    print("RATE devices to the cloud over TLS, QoS 1, 256 bytes: \(rate(count, since: began)) messages/s")
    await device.stop()
    await group.triggerGracefulShutdown()
    await running.value
    await cloud.shutdown()
  }
}
