import Core
import Glibc
import SQLite
import TestBroker
import Testing
import YAML

@testable import EventBus

@Suite(.timeLimit(.minutes(3))) struct EventBusTests {
  private func broker() async throws -> TestBroker {
    let broker = try await TestBroker()
    try await broker.start()
    return broker
  }

  // MARK: From devices

  @Test func `what devices say goes to the twins and to the cloud`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      let forTwins = [
        "$hw/events/device/ns/d1/state/update", "$hw/events/device/ns/d1/twin/update", "$hw/events/device/ns/d1/twin/get",
        "$hw/events/device/ns/d1/twin/cloud_updated", "$hw/events/device/d1/state/update", "$hw/events/device/d1/twin/update",
        "$hw/events/node/edge-1/membership/get",
      ]
      let forCloud = ["$hw/events/upload/a/b", "SYS/dis/upload_records", "default/user/x", "user/user"]
      for topic in forTwins + forCloud { device.publish(topic, "{\"t\":\"\(topic)\"}") }
      for topic in forTwins {
        let message = try await bus.channel.receive(.twin)
        #expect(message.route == .init(source: "bus", group: "user", operation: .response, resource: topic))
        #expect(message.text == "{\"t\":\"\(topic)\"}")
      }
      let uploads = try await bus.uploads(forCloud.count)
      #expect(uploads.map(\.resource) == forCloud)
      #expect(uploads.allSatisfy { $0.route.source == "bus" && $0.route.group == "user" && $0.operation == .upload })
      #expect(uploads.first?.text == "{\"t\":\"$hw/events/upload/a/b\"}")
      // What nobody subscribes doesn't come.
      device.publish("$hw/events/device/ns/d1/twin/update/result", "{}")
      device.publish("other/topic", "{}")
      device.publish("default/user/y", "last")
      #expect(try await bus.uploads(forCloud.count + 1).last?.resource == "default/user/y")
      await device.stop()
    }
  }

  @Test func `payloads that are no text are repaired, big ones arrive, too big ones are counted`() async throws {
    let broker = try await broker()
    try await TestBus(broker) { _, timing in timing.uploads.uploadSize = 11_000_000 }.run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      device.publish("n/user/binary", bytes: [0x41, 0xFF, 0x42, 0x00, 0x22])
      device.publish("n/user/large", bytes: [UInt8](repeating: 0x78, count: 10_000_000))
      device.publish("n/user/huge", bytes: [UInt8](repeating: 0x78, count: 11_000_001))
      device.publish("n/user/end", "end")
      let uploads = try await bus.uploads(3)
      #expect(uploads.map(\.resource) == ["n/user/binary", "n/user/large", "n/user/end"])
      #expect(uploads[0].text == "A\u{FFFD}B\0\"")
      #expect(uploads[1].content.count == 10_000_002)
      #expect(try await bus.summary().dropped == ["too-large": 1])
      await device.stop()
    }
  }

  @Test(arguments: 0...2) func `nothing is lost or turned around in a storm`(qos: Int) async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      for number in 0..<5000 { device.publish("n/user/x", "\(number)", qos: qos) }
      #expect(try await bus.uploads(5000).compactMap { $0.text.flatMap { Int($0) } } == Array(0..<5000))
      await device.stop()
    }
  }

  @Test func `what devices say while the agent restarts arrives afterwards`() async throws {
    let broker = try await broker()
    let folder = TestFolder()
    try await TestBus(broker, folder: folder).run { bus in
      try await bus.connected()
      try await bus.rule(.subscribe, "default/rule")
      try await bus.summary("rule") { $0.rules == ["default/rule"] }
      let device = try await Device(broker.port)
      while bus.hub.uploads.isEmpty {
        device.publish("default/rule", "before")
        try await Task.sleep(for: .milliseconds(20))
      }
      await device.stop()
    }
    let device = try await Device(broker.port)
    for number in 0..<200 { device.publish(number % 2 == 0 ? "default/rule" : "n/user/x", "\(number)") }
    await device.stop()
    try await TestBus(broker, folder: folder).run { bus in
      let uploads = try await bus.uploads(200)
      let texts = uploads.compactMap(\.text).filter { $0 != "before" }
      #expect(texts == (0..<200).map(String.init))
      #expect(try await bus.summary().rules == ["default/rule"])
    }
  }

  @Test func `a stop in the middle of a storm loses nothing`() async throws {
    let broker = try await broker()
    let folder = TestFolder()
    let first = try TestBus(broker, folder: folder)
    let device = try await first.run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      for number in 0..<8000 { device.publish("n/user/x", "\(number)") }
      _ = try await bus.uploads(500)
      return device
    }
    let second = try TestBus(broker, folder: folder)
    try await second.run { bus in
      try await wait("the rest") {
        Set((first.hub.uploads + bus.hub.uploads).compactMap(\.text)).count == 8000
      }
    }
    await device.stop()
  }

  // MARK: To devices

  @Test func `what twins and the cloud publish comes to devices`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let device = try await Device(broker.port, ["$hw/#", "app/#", "inner"])
      let route = Message.Route(source: "twin", group: "bus", operation: .publish, resource: "$hw/events/device/ns/d/twin/update/result")
      try await bus.channel.send(Message(route: route, content: Array(#"{"a":1}"#.utf8)), to: .eventBus)
      try await bus.rule(.publish, "app/1", #""text \"quoted\" ü""#)
      try await bus.rule(.publish, "app/2", "{\"b\":2}")
      try await bus.rule(.message, "any", #"{"message":{"topic":"inner","x":[1]}}"#)
      try await bus.rule(.getResult, "auth_info", #"{"ok":true}"#)
      // Nothing of these goes out, and none of them ends anything.
      try await bus.rule(.publish, "app/+", "\"x\"")
      try await bus.rule(.publish, "", "\"x\"")
      try await bus.rule(.message, "any", #"{"message":"text"}"#)
      try await bus.rule(.message, "any", #"{"message":{"topic":7}}"#)
      try await bus.rule(.getResult, "other", "{}")
      try await bus.rule("dance", "app/3", "{}")
      try await bus.rule(.publish, "app/servicebus", "\"x\"", source: "router_servicebus")
      try await bus.rule(.publish, "app/end", "\"end\"")
      let messages = try await device.receive(6)
      #expect(
        messages.map(\.topic) == [
          "$hw/events/device/ns/d/twin/update/result", "app/1", "app/2", "inner", "$hw/events/node/edge-1/authInfo/get/result", "app/end",
        ])
      #expect(
        messages.map(\.text) == [#"{"a":1}"#, "text \"quoted\" ü", "{\"b\":2}", #"{"topic":"inner","x":[1]}"#, #"{"ok":true}"#, "end"])
      #expect(messages.allSatisfy { $0.qos == 1 && !$0.isRetained })
      await device.stop()
    }
  }

  @Test func `the agent's own messages do not come back`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      let device = try await Device(broker.port, ["default/user/x"])
      for _ in 0..<2 { try await bus.rule(.publish, "default/user/x", "\"same\"") }
      #expect(try await device.receive(2).map(\.text) == ["same", "same"])
      try await bus.summary("echoes") { $0.echoes == 2 }
      // A device may say the same.
      device.publish("default/user/x", "same")
      let uploads = try await bus.uploads(1)
      #expect(uploads.map(\.text) == ["same"])
      #expect(try await bus.summary().echoes == 2)
      // Device twins hear what a rule says to them.
      let update = "$hw/events/device/default/d/twin/update"
      try await bus.rule(.publish, update, "\"{}\"")
      #expect(try await bus.channel.receive(.twin).resource == update)
      await device.stop()
    }
  }

  @Test func `a disk that takes nothing more makes nothing come twice`() async throws {
    let broker = try await broker()
    let folder = TestFolder()
    let bus = try TestBus(broker, folder: folder)
    bus.hub.state.withLock { $0.isConnected = false }
    try await bus.run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      for number in 0..<300 { device.publish("n/user/x", "\(number)") }
      try await bus.summary("outbox") { $0.stored == 300 }
      // Somebody else has the file to himself.
      let other = try Connection(path: folder.path + "/eventbus.db")
      try other.execute("BEGIN IMMEDIATE")
      try await bus.hub.set(connected: true, bus.channel)
      _ = try await bus.uploads(300)
      device.publish("n/user/x", "300")
      _ = try await bus.uploads(301)
      try other.execute("ROLLBACK")
      #expect(bus.hub.uploads.map { String(decoding: $0.payload, as: UTF8.self) } == (0...300).map { "\($0)" })
      await device.stop()
    }
    let store = try BusStore(agentPath: folder.path + "/edgecore.db", limits: .init(bytes: 1 << 20, age: 60_000))
    try await store.open()
    #expect(await store.state.count == 0)
  }

  @Test func `a dead broker holds nobody up`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      broker.freeze()
      for number in 0..<20_000 { try await bus.rule(.publish, "app/x", "\"\(number)\"") }
      try await bus.summary("drops") { ($0.brokers.first?.dropped ?? 0) > 5000 }
      broker.thaw()
    }
  }

  // MARK: Rules

  @Test func `rules are kept, and end everywhere`() async throws {
    let broker = try await TestBroker()
    let folder = TestFolder()
    // An older agent's database has rules too.
    let older = try Connection(path: folder.path + "/edgecore.db")
    try older.execute("CREATE TABLE sub_topics (topic text PRIMARY KEY); INSERT INTO sub_topics VALUES ('default/old')")
    try await TestBus(broker, folder: folder).run { bus in
      try await bus.rule(.subscribe, "default/new")
      try await bus.rule(.subscribe, "default/user/covered")
      try await bus.rule(.subscribe, "bad/#/filter")
      try await bus.summary("rules") { $0.rules.sorted() == ["default/new", "default/old", "default/user/covered"] }
      // The broker was away all the time.
      try await broker.start()
      try await bus.connected()
      let device = try await Device(broker.port)
      for topic in ["default/old", "default/new", "default/user/covered"] { device.publish(topic, "1") }
      #expect(try await bus.uploads(3).map(\.resource) == ["default/old", "default/new", "default/user/covered"])
      try await bus.rule(.unsubscribe, "default/old")
      try await bus.summary("end") { !$0.rules.contains("default/old") }
      broker.kill(SIGTERM)
      try await bus.rule(.unsubscribe, "default/new")
      try await bus.summary("end") { $0.rules == ["default/user/covered"] }
      await device.stop()
    }
    try await broker.start()
    try await TestBus(broker, folder: folder).run { bus in
      try await bus.connected()
      #expect(try await bus.summary().rules == ["default/user/covered"])
      let device = try await Device(broker.port)
      device.publish("default/new", "2")
      device.publish("default/old", "2")
      device.publish("n/user/end", "2")
      #expect(try await bus.uploads(1).map(\.resource) == ["n/user/end"])
      await device.stop()
    }
  }

  @Test func `a restarted broker gets all subscriptions again`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.rule(.subscribe, "default/rule")
      for round in 1...3 {
        try await bus.connected(times: round)
        let device = try await Device(broker.port)
        let count = bus.hub.uploads.count
        while bus.hub.uploads.count == count {
          device.publish("default/rule", "\(round)")
          try await Task.sleep(for: .milliseconds(20))
        }
        await device.stop()
        broker.kill(SIGKILL)
        try await broker.start()
      }
    }
  }

  // MARK: Store and forward

  @Test func `while the cloud is away messages wait, over restarts, and go in order`() async throws {
    let broker = try await broker()
    let folder = TestFolder()
    try await TestBus(broker, folder: folder).run { bus in
      bus.hub.state.withLock { $0.isConnected = false }
      try await bus.hub.set(connected: false, bus.channel)
      try await bus.connected()
      let device = try await Device(broker.port)
      for number in 0..<1000 { device.publish("n/user/x", "\(number)") }
      try await bus.summary("outbox") { $0.stored == 1000 && $0.storedSince != nil && $0.storedBytes > 0 }
      #expect(bus.hub.uploads.isEmpty)
      await device.stop()
    }
    let again = try TestBus(broker, folder: folder)
    again.hub.state.withLock { $0.isConnected = false }
    try await again.run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      for number in 1000..<1500 { device.publish("n/user/x", "\(number)") }
      try await bus.summary("outbox") { $0.stored == 1500 }
      try await bus.hub.set(connected: true, bus.channel)
      for number in 1500..<2000 { device.publish("n/user/x", "\(number)") }
      #expect(try await bus.uploads(2000).compactMap { $0.text.flatMap { Int($0) } } == Array(0..<2000))
      try await bus.summary("empty outbox") { $0.stored == 0 && $0.storedBytes == 0 && $0.sent == 2000 }
      await device.stop()
    }
  }

  @Test func `what the lost connection gives back is kept and sent in order`() async throws {
    let broker = try await broker()
    try await TestBus(broker).run { bus in
      try await bus.connected()
      try await bus.hub.set(connected: true, bus.channel)
      bus.hub.state.withLock { $0.losesAt = 777 }
      let device = try await Device(broker.port)
      for number in 0..<3000 { device.publish("n/user/x", "\(number)") }
      try await bus.summary("outbox") { $0.stored == 3000 - 777 }
      #expect(bus.hub.uploads.count == 777)
      try await bus.hub.set(connected: true, bus.channel)
      #expect(try await bus.uploads(3000).compactMap { $0.text.flatMap { Int($0) } } == Array(0..<3000))
      await device.stop()
    }
  }

  @Test func `a slow cloud makes messages wait on the disk, not the twins`() async throws {
    let broker = try await broker()
    try await TestBus(broker) { _, timing in
      timing.uploads.queueCount = 20
      timing.uploads.batchCount = 5
      timing.uploads.patience = .milliseconds(20)
    }.run { bus in
      try await bus.connected()
      bus.hub.state.withLock { $0.isSlow = true }
      let device = try await Device(broker.port)
      for number in 0..<300 {
        device.publish("n/user/x", "\(number)")
        if number % 3 == 0 { device.publish("$hw/events/device/ns/d/twin/update", "\(number)") }
      }
      for number in 0..<100 { #expect(try await bus.channel.receive(.twin).text == "\(number * 3)") }
      try await bus.summary("disk") { $0.stored > 100 }
      bus.hub.state.withLock { $0.isSlow = false }
      #expect(try await bus.uploads(300).compactMap { $0.text.flatMap { Int($0) } } == Array(0..<300))
      await device.stop()
    }
  }

  @Test func `the offline queue keeps to its size, and the newest messages`() async throws {
    let broker = try await broker()
    try await TestBus(broker) { configuration, _ in configuration.offlineQueue.maxSize = "10Ki" }.run { bus in
      try await bus.hub.set(connected: false, bus.channel)
      try await bus.connected()
      let device = try await Device(broker.port)
      let filler = String(repeating: "x", count: 200)
      for number in 0..<200 { device.publish("n/user/x", "\(number) \(filler)") }
      let summary = try await bus.summary("drops") { $0.stored + ($0.dropped["size"] ?? 0) == 200 }
      #expect(summary.storedBytes <= 10_240 && summary.storedBytes > 9000)
      try await bus.hub.set(connected: true, bus.channel)
      let numbers = try await bus.uploads(summary.stored).compactMap { $0.text?.split(separator: " ").first.flatMap { Int($0) } }
      #expect(numbers == Array((200 - summary.stored)..<200))
      await device.stop()
    }
  }

  @Test func `the offline queue drops what is too old`() async throws {
    let store = try BusStore(agentPath: TestFolder().path + "/edgecore.db", limits: .init(bytes: 1 << 20, age: 60_000))
    let now = Message.Header.now
    func upload(_ age: Int64) -> Upload { Upload(time: now - age, topic: "a", content: Array("\"\(age)\"".utf8)) }
    #expect(try await store.append([upload(50_000), upload(10_000)]) == .init())
    #expect(try await store.append([upload(70_000), upload(5000)]) == .init(bySize: 0, byAge: 1))
    #expect(try await store.prepend([upload(55_000)]) == .init())
    let (uploads, sequences, dropped) = try await store.first(10, bytes: 1 << 20)
    #expect(uploads.compactMap { String(decoding: $0.content, as: UTF8.self) } == ["\"55000\"", "\"50000\"", "\"10000\"", "\"5000\""])
    #expect(dropped == 0)
    try await store.delete(Array(sequences.prefix(3)))
    #expect(await store.state == .init(count: 1, bytes: upload(5000).size, oldest: now - 5000))
    #expect(try await store.first(10, bytes: 1).uploads.count == 1)
  }

  @Test func `without a cloud's module messages are counted, not kept`() async throws {
    let broker = try await broker()
    let bus = try TestBus(broker)
    bus.channel.unregister(.websocket)
    try await bus.run { bus in
      try await bus.connected()
      let device = try await Device(broker.port)
      device.publish("n/user/x", "1")
      try await bus.summary("drop") { $0.dropped == ["no-cloud": 1] && $0.stored == 0 }
      await device.stop()
    }
  }
}
