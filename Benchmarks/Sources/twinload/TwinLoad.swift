import ArgumentParser
import Glibc
import MQTT

/// Sends updates of twins to any edgecore through its broker, and measures how fast they are stored and answered.
///
/// Each device sends its next update when the last one was answered. Devices have to be there: `twinload objects` prints them for kubectl.
@main
struct TwinLoad: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "twinload", abstract: "Loads an edgecore with updates of twins.", subcommands: [Objects.self, Updates.self, Uploads.self])
}

/// What the commands have in common.
struct Fleet: ParsableArguments {
  @Option(help: "How many devices.")
  var devices = 50

  @Option(help: "How many properties each has.")
  var properties = 1

  func device(_ index: Int) -> String { "load-\(index)" }
  func property(_ index: Int) -> String { "p\(index)" }
}

struct Objects: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Prints the DeviceModel and the Devices as YAML.")

  @OptionGroup var fleet: Fleet

  @Option(help: "The node that they belong to.")
  var node: String

  func run() {
    let names = (0..<fleet.properties).map(fleet.property)
    print(
      """
      apiVersion: devices.kubeedge.io/v1beta1
      kind: DeviceModel
      metadata: {name: load}
      spec:
        protocol: mqtt
        properties: [\(names.map { "{name: \($0), type: STRING, accessMode: ReadWrite}" }.joined(separator: ", "))]
      """)
    let properties = names.map { "{name: \($0), visitors: {protocolName: mqtt, configData: {topic: \($0)}}}" }.joined(separator: ", ")
    for index in 0..<fleet.devices {
      print(
        """
        ---
        apiVersion: devices.kubeedge.io/v1beta1
        kind: Device
        metadata: {name: \(fleet.device(index))}
        spec:
          deviceModelRef: {name: load}
          nodeName: \(node)
          protocol: {protocolName: mqtt, configData: {port: 1}}
          properties: [\(properties)]
        """)
    }
  }
}

struct Updates: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Sends updates and prints rate and times.")

  @OptionGroup var fleet: Fleet

  @Option(help: "How many updates each device sends; they go round its properties.")
  var updates = 20

  @Option(help: "The broker's host.")
  var host = "127.0.0.1"

  @Option(help: "The broker's port.")
  var port = 1883

  @Option(help: "The first value; the last one is this and the number of updates less one.")
  var first = 1000

  func run() async throws {
    var options = MQTTOptions(server: .tcp(host: host, port: port), clientID: "twinload-\(getpid())")
    options.keepsSession = false
    let client = try MQTTClient(options)
    client.subscribe(["$hw/events/device/+/+/twin/update/result"])
    try client.start()
    while !client.isConnected { try await Task.sleep(for: .milliseconds(10)) }
    try await Task.sleep(for: .milliseconds(500))

    var sent = [Int](repeating: 0, count: fleet.devices)
    var began = [ContinuousClock.Instant](repeating: .now, count: fleet.devices)
    var times: [Double] = []
    var refused = 0
    let start = ContinuousClock.now
    for device in 0..<fleet.devices { send(device, &sent, &began, client) }
    let total = fleet.devices * updates
    var index: [String: Int] = [:]
    for device in 0..<fleet.devices { index["$hw/events/device/default/\(fleet.device(device))/twin/update/result"] = device }
    while times.count + refused < total, let messages = await client.messages() {
      for message in messages {
        guard let device = index[message.topic] else { continue }
        if String(decoding: message.payload, as: UTF8.self).contains(#""code""#) {
          refused += 1
          if refused == 1 { print("refused: \(String(decoding: message.payload, as: UTF8.self))") }
        } else {
          times.append((ContinuousClock.now - began[device]) / .milliseconds(1))
        }
        if sent[device] < updates { send(device, &sent, &began, client) }
      }
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    guard !times.isEmpty else {
      await client.stop()
      throw ValidationError("none of the \(refused) updates was taken; are the devices of `twinload objects` there?")
    }
    times.sort()
    func percentile(_ part: Double) -> Double { (times[min(times.count - 1, Int(Double(times.count) * part))] * 10).rounded() / 10 }
    print(
      "\(times.count) updates of \(fleet.devices) devices in \(seconds) s: \(Int(Double(times.count) / seconds)) /s, \(refused) refused")
    print("answered after: median \(percentile(0.5)) ms, p99 \(percentile(0.99)) ms, longest \(percentile(1)) ms")
    await client.stop()
  }

  private func send(_ device: Int, _ sent: inout [Int], _ began: inout [ContinuousClock.Instant], _ client: MQTTClient) {
    let value = first + sent[device]
    let property = fleet.property(sent[device] % fleet.properties)
    sent[device] += 1
    began[device] = .now
    let payload = #"{"event_id":"\#(value)","timestamp":0,"twin":{"\#(property)":{"actual":{"value":"\#(value)"}}}}"#
    client.publish(
      MQTTPublication(
        topic: "$hw/events/device/default/\(fleet.device(device))/twin/update", payload: Array(payload.utf8), qos: 1))
  }
}
