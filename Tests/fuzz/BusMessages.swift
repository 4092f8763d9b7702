import ArgumentParser
import Core
import EventBus
import FoundationEssentials
import Glibc
import MQTT
import YAML

/// Feeds broken messages to a whole EventBus with a real broker of its own: what devices publish, and what the cloud's router and other
/// modules ask for.
struct BusMessages: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mqtt", abstract: "Feeds mutated MQTT messages and requests of the cloud's rules to EventBus and its broker.")

  @Option(help: "How long, in seconds.")
  var seconds = 60

  private static let topics = [
    "$hw/events/device/default/thermo-1/twin/update", "$hw/events/device/thermo-1/state/update", "$hw/events/node/edge-1/membership/get",
    "$hw/events/upload/a/b", "SYS/dis/upload_records", "edge-1/user/x", "default/lamp/state", "$SYS/broker/uptime", "/", "a//b/",
  ].map { Array($0.utf8) }

  private static let filters = ["default/#", "+/lamp/+", "#", "a/#/b", "", "$hw/#", "default/lamp/state"].map { Array($0.utf8) }

  private static let payloads = [
    #"{"event_id":"1","twin":{"temperature":{"actual":{"value":"22"},"metadata":{"type":"int"}}}}"#,
    #"{"message":{"topic":"default/inner","payload":[1,2,{"a":null}]}}"#, #""a text\u0000 with \ud83d\ude00""#, "\u{00}\u{01}\u{FE}", "",
  ].map { Array($0.utf8) }

  private static let operations = [
    "publish", "subscribe", "unsubscribe", "message", "get_result", "error", "response", "connect", "POST", "",
  ]

  /// What came out of the bus, told apart by where.
  private enum Arrival: Sendable, Hashable {
    case cloud(String)
    case twins(String)
    case device(String)
  }

  func run() async throws {
    let folder = "/tmp/edgecore-fuzz-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = EventBusConfiguration()
    configuration.mqttMode = EventBusConfiguration.Mode.internal.rawValue
    configuration.mqttServerInternal = "unix://\(folder)/devices.sock"
    configuration.mqttSessionQueueSize = 10_000
    let channel = ChannelContext()
    for (module, group) in [(ModuleName.eventBus, ModuleGroup.bus), (.twin, .twin), (.websocket, .hub)] {
      try channel.register(module, group: group)
    }
    let bus = EventBus(configuration: configuration, nodeName: "edge-1", databasePath: folder + "/edgecore.db", channel: channel)
    var options = MQTTOptions(server: .unix(path: "\(folder)/devices.sock"), clientID: "fuzz")
    options.firstDelay = .milliseconds(50)
    let device = try MQTTClient(options)
    device.subscribe(["probe/+"])
    let (arrivals, arrival) = AsyncStream<Arrival>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await bus.run() }
      tasks.addTask { await Self.playHub(channel) { arrival.yield(.cloud($0)) } }
      tasks.addTask { for await message in channel.messages(for: .twin) { arrival.yield(.twins(message.resource)) } }
      tasks.addTask { while let batch = await device.messages() { for message in batch { arrival.yield(.device(message.topic)) } } }
      try device.start()
      // What is published before the bus has subscribed is for nobody.
      while true {
        let areConnected = await Self.summary(channel).contains(#""connected":true"#) && device.isConnected
        if areConnected { break }
        try await Task.sleep(for: .milliseconds(50))
      }
      try await feed(channel, device, arrivals)
      tasks.cancelAll()
      await device.stop()
      do { while try await tasks.next() != nil {} } catch is CancellationError {}
    }
  }

  /// Takes what is for the cloud; gives a part of it back, as a connection does that is lost.
  private static func playHub(_ channel: ChannelContext, onUpload: (String) -> Void) async {
    for await message in channel.messages(for: .websocket) {
      let isLost = !message.resource.hasPrefix("n/user/probe") && message.operation == .upload && Int.random(in: 0..<2000) == 0
      if isLost {
        let back = Message(
          header: .init(parentID: message.id),
          route: .init(source: "websocket", group: "bus", operation: .error, resource: message.resource),
          content: message.content)
        try? await channel.send(back, to: .eventBus)
      } else if message.operation == .upload {
        onUpload(message.resource)
      }
      guard message.header.sync else { continue }
      let content = message.operation == .query ? #"{"connected":true}"# : "{}"
      channel.respond(
        to: message, with: .reply(to: message, operation: isLost ? .error : .response, content: Array(content.utf8)))
    }
  }

  private func feed(_ channel: ChannelContext, _ device: MQTTClient, _ arrivals: AsyncStream<Arrival>) async throws {
    var mutation = Mutation()
    var arrivals = arrivals.makeAsyncIterator()
    let end = ContinuousClock.now + .seconds(seconds)
    var fed = 0
    var round = 0
    while ContinuousClock.now < end {
      for _ in 0..<500 {
        fed += 1
        if Int.random(in: 0..<3) > 0 {
          await device.waitForRoom()
          device.publish(publication(&mutation))
        } else {
          try await channel.send(request(&mutation), to: .eventBus)
        }
      }
      // It still does its work, both ways.
      round += 1
      try await channel.send(CloudConnection.connected.message, to: .eventBus)
      let topics = (upload: "n/user/probe-\(round)", twin: "$hw/events/device/default/probe-\(round)/twin/get", out: "probe/\(round)")
      for topic in [topics.upload, topics.twin] { device.publish(MQTTPublication(topic: topic, payload: Array("{}".utf8), qos: 1)) }
      try await channel.send(Self.request("publish", topics.out, Array("{}".utf8)), to: .eventBus)
      var missing: Set<Arrival> = [.cloud(topics.upload), .twins(topics.twin), .device(topics.out)]
      let alarm = Task { [missing, round] in
        try await Task.sleep(for: .seconds(60))
        let report = "round \(round): one of these doesn't arrive: \(missing); \(await Self.summary(channel))\n"
        _ = report.withCString { write(STDERR_FILENO, $0, strlen($0)) }
        abort()
      }
      while !missing.isEmpty, let arrival = await arrivals.next() { missing.remove(arrival) }
      alarm.cancel()
      for filter in Self.filters {
        try await channel.send(Self.request("unsubscribe", String(decoding: filter, as: UTF8.self), []), to: .eventBus)
      }
    }
    print("\(fed) inputs in \(seconds) s; nothing crashed")
  }

  private static func summary(_ channel: ChannelContext) async -> String {
    let query = Message(route: .init(source: "fuzz", group: "bus", operation: .query, resource: "mqtt"))
    let answer = try? await channel.request(query, to: .eventBus, timeout: .seconds(10))
    return answer.map { String(decoding: $0.content, as: UTF8.self) } ?? "the bus doesn't answer"
  }

  private func publication(_ mutation: inout Mutation) -> MQTTPublication {
    let seed = Self.topics.randomElement() ?? []
    var topic = Int.random(in: 0..<3) > 0 ? seed : mutation.mutated(seed, with: Self.topics.randomElement() ?? [])
    if Int.random(in: 0..<500) == 0 { topic += Array(repeating: UInt8(ascii: "x"), count: Int.random(in: 1000...70_000)) }
    var payload = mutation.mutated(Self.payloads.randomElement() ?? [], with: Self.payloads.randomElement() ?? [])
    if Int.random(in: 0..<2000) == 0 { payload += Array(repeating: UInt8.random(in: 0...255), count: 1 << 20) }
    return MQTTPublication(
      topic: String(decoding: topic, as: UTF8.self), payload: payload, qos: Int.random(in: 0...2), isRetained: Int.random(in: 0..<20) == 0)
  }

  private func request(_ mutation: inout Mutation) -> Message {
    let operation = Self.operations.randomElement() ?? ""
    var resource = operation.hasSuffix("subscribe") ? Self.filters.randomElement() ?? [] : Self.topics.randomElement() ?? []
    if Bool.random() { resource = mutation.mutated(resource, with: Self.topics.randomElement() ?? []) }
    if operation == "connect" { resource = Array(CloudConnection.resource.utf8) }
    if operation == "get_result", Bool.random() { resource = Array("auth_info".utf8) }
    let payload = mutation.mutated(Self.payloads.randomElement() ?? [], with: Self.payloads.randomElement() ?? [])
    return Self.request(operation, String(decoding: resource, as: UTF8.self), payload)
  }

  private static func request(_ operation: String, _ resource: String, _ content: [UInt8]) -> Message {
    Message(
      route: .init(source: "router_eventbus", group: "user", operation: .init(rawValue: operation), resource: resource), content: content)
  }
}
