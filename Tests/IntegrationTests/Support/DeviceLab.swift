import CloudSimulator
import FoundationEssentials
import Glibc
import MQTT
import Synchronization
import TestBroker
import YAML

/// A cloud, an agent, a broker, an MQTT program and a mapper: what devices need.
struct DeviceLab: Sendable {
  let cloud: Cloud
  let broker: TestBroker
  let program: MQTTProgram
  let mapper: AgentProcess

  private var mapperLog: String { cloud.agent.directory + "/mapper.log" }

  /// Everything runs, except the mapper.
  static func with(_ body: (DeviceLab) async throws -> Void) async throws {
    let broker = try await TestBroker()
    try await broker.start()
    let settings = ["modules.eventBus.enable=true", "modules.eventBus.mqttServerExternal=tcp://127.0.0.1:\(broker.port)"]
    try await Cloud.with(settings: settings) { cloud in
      let directory = cloud.agent.directory
      let mapper = AgentProcess(
        "testmapper", arguments: ["--edgecore", directory + "/dmi.sock", "--socket", directory + "/mapper.sock"],
        log: directory + "/mapper.log")
      let program = try MQTTProgram(port: broker.port)
      let lab = DeviceLab(cloud: cloud, broker: broker, program: program, mapper: mapper)
      let result: Result<Void, any Error>
      do { result = .success(try await body(lab)) } catch { result = .failure(error) }
      _ = try await mapper.end(SIGKILL)
      unlink(directory + "/mapper.sock")
      await program.end()
      try result.get()
    }
    broker.kill(SIGTERM)
  }

  // MARK: The cloud's objects

  func applyModel() throws {
    try cloud.apply(
      """
      apiVersion: devices.kubeedge.io/v1beta1
      kind: DeviceModel
      metadata: {name: thermo}
      spec:
        protocol: virtual
        properties:
        - {name: temperature, type: INT, accessMode: ReadWrite}
        - {name: mode, type: STRING, accessMode: ReadWrite}
      """)
  }

  func applyDevice(_ name: String, mode: String, protocolName: String = "virtual") throws {
    try cloud.apply(
      """
      apiVersion: devices.kubeedge.io/v1beta1
      kind: Device
      metadata: {name: \(name)}
      spec:
        deviceModelRef: {name: thermo}
        nodeName: \(cloud.agent.node)
        protocol: {protocolName: \(protocolName), configData: {port: 1}}
        properties:
        - {name: temperature, visitors: {protocolName: virtual, configData: {register: 3}}}
        - {name: mode, desired: {value: "\(mode)"}, visitors: {protocolName: virtual, configData: {register: 4}}}
      """)
  }

  func waitUntilReported(_ value: String, _ property: String, of device: String) async throws {
    do {
      _ = try await eventually("the cloud shows \(property)=\(value) of \(device)", within: .seconds(60)) {
        cloud.simulator.reported(property, of: device) == value ? true : nil
      }
    } catch {
      let device = try? await cloud.agent.get("/v1/devices/default/\(device)").jsonText()
      throw Shell.Failure(
        description: "\(error)\n\(device ?? "no device")\n\(text(of: mapperLog) ?? "")\n\(cloud.agent.log.suffix(3000))")
    }
  }

  func waitUntilMapperHeard(_ line: String) async throws {
    _ = try await eventually("the mapper hears: \(line)", within: .seconds(60)) {
      text(of: mapperLog)?.contains(line) == true ? true : nil
    }
  }
}

/// A program beside the agent that speaks MQTT, and hears everything about devices.
final class MQTTProgram: Sendable {
  private let client: MQTTClient
  private let reader: Task<Void, Never>
  private let heard: Heard

  private final class Heard: Sendable {
    let messages = Mutex<[MQTTMessage]>([])
  }

  init(port: Int) throws {
    var options = MQTTOptions(server: .tcp(host: "127.0.0.1", port: port), clientID: "program-\(getpid())-\(port)")
    options.longestDelay = .seconds(1)
    let client = try MQTTClient(options)
    client.subscribe(["$hw/events/#"])
    try client.start()
    let heard = Heard()
    self.client = client
    self.heard = heard
    reader = Task {
      while let messages = await client.messages() {
        heard.messages.withLock { all in
          all += messages
          if all.count > 20_000 { all.removeFirst(10_000) }
        }
      }
    }
  }

  func publish(_ topic: String, _ payload: String) {
    client.publish(MQTTPublication(topic: topic, payload: Array(payload.utf8), qos: 1))
  }

  /// Waits for a message on a topic that ends so, and has that text in it.
  @discardableResult
  func message(_ end: String, containing text: String) async throws -> JSONValue {
    try await eventually("a message on …\(end) with \(text)", within: .seconds(60)) {
      heard.messages.withLock { messages in
        messages.last { $0.topic.hasSuffix(end) && String(decoding: $0.payload, as: UTF8.self).contains(text) }
      }.flatMap { try? JSONValue(json: $0.payload) }
    }
  }

  func end() async {
    await client.stop()
    await reader.value
  }
}
