import Core
import Glibc
import LocalAPI
import TestBroker
import Testing

@testable import EventBus

@Suite(.timeLimit(.minutes(3))) struct InternalBrokerTests {
  private func mode(_ port: Int) -> (inout EventBusConfiguration, inout BusTiming) -> Void {
    { configuration, _ in
      configuration.mqttMode = 0
      configuration.mqttServerInternal = "tcp://127.0.0.1:\(port)"
    }
  }

  private func isAlive(_ pid: Int) -> Bool { kill(pid_t(pid), 0) == 0 }

  @Test func `a broker of the agent's own starts, serves and ends with it`() async throws {
    let port = try TestBroker.freePort()
    let bus = try TestBus(nil, adjust: mode(port))
    let pid = try await bus.run { bus in
      try await bus.connected()
      let device = try await Device(port, ["$hw/events/device/ns/d/twin/update/result"])
      device.publish("$hw/events/device/ns/d/twin/update", "{}")
      #expect(try await bus.channel.receive(.twin).resource == "$hw/events/device/ns/d/twin/update")
      device.publish("n/user/x", "hello")
      #expect(try await bus.uploads(1).map(\.text) == ["hello"])
      let route = Message.Route(source: "twin", group: "bus", operation: .publish, resource: "$hw/events/device/ns/d/twin/update/result")
      try await bus.channel.send(Message(route: route, content: Array("{}".utf8)), to: .eventBus)
      let message = try #require(await device.receive(1).first)
      #expect(message.text == "{}" && message.qos == 0)
      await device.stop()
      let broker = try #require(await bus.summary().brokers.first)
      #expect(broker.name == "internal" && broker.server == "tcp://127.0.0.1:\(port)")
      return try #require(broker.pid)
    }
    #expect(!isAlive(pid))
    #expect(!TestBroker.listens(port))
    var status = stat()
    #expect(stat(bus.folder.path + "/mosquitto", &status) == 0 && status.st_mode & 0o777 == 0o700)
    #expect(stat(bus.folder.path + "/mosquitto/mosquitto.conf", &status) == 0 && status.st_mode & 0o777 == 0o600)
  }

  @Test func `QoS and retain of what the agent publishes are configured`() async throws {
    let port = try TestBroker.freePort()
    try await TestBus(nil) { configuration, timing in
      mode(port)(&configuration, &timing)
      configuration.mqttQOS = 2
      configuration.mqttRetain = true
    }.run { bus in
      try await bus.connected()
      try await bus.rule(.publish, "app/x", "\"kept\"")
      try await bus.summary("publication") { $0.brokers.first?.published == 1 && $0.brokers.first?.waiting == 0 }
      let device = try await Device(port)
      device.client.subscribe(["app/x"])
      let message = try #require(await device.receive(1).first)
      #expect(message.text == "kept" && message.isRetained && message.qos == 1)
      await device.stop()
    }
  }

  @Test func `a broker that dies is started again, and sessions are resumed`() async throws {
    let port = try TestBroker.freePort()
    try await TestBus(nil, adjust: mode(port)).run { bus in
      try await bus.connected()
      let first = try #require(await bus.summary().brokers.first?.pid)
      kill(pid_t(first), SIGTERM)
      try await bus.connected(times: 2)
      let second = try #require(await bus.summary().brokers.first?.pid)
      #expect(second != first)
      kill(pid_t(second), SIGKILL)
      try await bus.connected(times: 3)
      let device = try await Device(port)
      device.publish("n/user/x", "after")
      #expect(try await bus.uploads(1).map(\.text) == ["after"])
      await device.stop()
    }
  }

  @Test func `what devices say while the agent is restarted is lost only with its broker`() async throws {
    let port = try TestBroker.freePort()
    let folder = TestFolder()
    try await TestBus(nil, folder: folder, adjust: mode(port)).run { bus in
      try await bus.connected()
      let device = try await Device(port)
      device.publish("kept/state", "on", isRetained: true)
      device.publish("n/user/x", "1")
      _ = try await bus.uploads(1)
      await device.stop()
    }
    // What the broker had is on the disk.
    try await TestBus(nil, folder: folder, adjust: mode(port)).run { bus in
      try await bus.connected()
      let device = try await Device(port)
      device.client.subscribe(["kept/#"])
      #expect(try await device.receive(1).first?.text == "on")
      await device.stop()
    }
  }

  @Test func `passwords and access lists are kept to, and the agent needs none`() async throws {
    let port = try TestBroker.freePort()
    let folder = TestFolder()
    let passwords = folder.path + "/passwords"
    let file = try #require(fopen(passwords, "w"))
    fclose(file)
    chmod(passwords, 0o600)
    try TestBroker.run("mosquitto_passwd", "-b", passwords, "sensor", "secret")
    let list = try #require(fopen(folder.path + "/acl", "w"))
    fputs("user sensor\ntopic write n/user/#\n", list)
    fclose(list)
    try await TestBus(nil, folder: folder) { configuration, timing in
      mode(port)(&configuration, &timing)
      configuration.internalBroker.passwordFile = passwords
      configuration.internalBroker.aclFile = folder.path + "/acl"
    }.run { bus in
      try await bus.connected()
      let sensor = try MQTTProbe(port, user: "sensor", password: "secret")
      try await sensor.connected()
      sensor.publish("other/user/x", "not allowed")
      sensor.publish("n/user/x", "allowed")
      #expect(try await bus.uploads(1).map(\.text) == ["allowed"])
      await sensor.stop()
      let stranger = try MQTTProbe(port, user: nil, password: nil)
      try await stranger.refused()
      await stranger.stop()
    }
  }

  @Test func `TLS for devices`() async throws {
    let port = try TestBroker.freePort()
    let folder = TestFolder()
    let certificates = try TestCertificates(folder: folder.path, names: ["broker", "device"])
    try await TestBus(nil, folder: folder) { configuration, _ in
      configuration.mqttMode = 0
      configuration.mqttServerInternal = "ssl://127.0.0.1:\(port)"
      configuration.internalBroker.tlsCertFile = certificates.file("broker.crt")
      configuration.internalBroker.tlsPrivateKeyFile = certificates.file("broker.key")
      configuration.internalBroker.tlsClientCAFile = certificates.file("ca.crt")
    }.run { bus in
      try await bus.connected()
      let device = try await Device(port) {
        $0.security = .init(
          caFile: certificates.file("ca.crt"), certificateFile: certificates.file("device.crt"), keyFile: certificates.file("device.key"))
      }
      device.publish("n/user/x", "hello")
      #expect(try await bus.uploads(1).map(\.text) == ["hello"])
      await device.stop()
    }
  }

  @Test func `both brokers at once`() async throws {
    let broker = try await TestBroker()
    try await broker.start()
    let port = try TestBroker.freePort()
    try await TestBus(broker) { configuration, _ in
      configuration.mqttMode = 1
      configuration.mqttServerInternal = "tcp://127.0.0.1:\(port)"
    }.run { bus in
      try await bus.connected()
      #expect(try await bus.summary().brokers.map(\.name) == ["external", "internal"])
      let inside = try await Device(port, ["app/x"])
      let outside = try await Device(broker.port, ["app/x"])
      try await bus.rule(.publish, "app/x", "\"both\"")
      #expect(try await inside.receive(1).map(\.text) == ["both"])
      #expect(try await outside.receive(1).map(\.text) == ["both"])
      try await bus.rule(.subscribe, "default/rule")
      try await bus.summary("rule") { $0.rules == ["default/rule"] }
      var heard: Set<String> = []
      while heard.count < 2 {
        inside.publish("default/rule", "inside")
        outside.publish("default/rule", "outside")
        try await Task.sleep(for: .milliseconds(20))
        heard = Set(bus.hub.uploads.compactMap(\.text))
      }
      await inside.stop()
      await outside.stop()
    }
  }

  @Test func `a broker that is not there is named`() async throws {
    let bus = try TestBus(nil) { configuration, _ in
      configuration.mqttMode = 0
      configuration.internalBroker.executable = "no-such-broker"
    }
    await #expect { try await bus.bus.run() } throws: { "\($0)".contains("no-such-broker") }
  }

  @Test func `the configuration says what was asked for`() throws {
    var configuration = EventBusConfiguration()
    configuration.mqttServerInternal = "tcp://[::1]:1999"
    configuration.mqttSessionQueueSize = 7
    configuration.internalBroker.passwordFile = "/p"
    let text = try InternalBroker(configuration: configuration, dataFolder: "/data").text(isRoot: false)
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines.contains("listener 1999 ::1") && lines.contains("max_queued_messages 7") && lines.contains("password_file /p"))
    #expect(lines.contains("persistence_location /data/mosquitto/") && lines.contains("listener 0 /data/mosquitto/agent.sock"))
    #expect(lines.contains("allow_anonymous false") && !lines.contains("user root"))
  }
}
