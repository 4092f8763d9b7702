import ArgumentParser
import LocalAPI
import YAML

struct Twin: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a device's properties, or sets expected values.",
    usage: """
      edgectl twin <device> [--watch]
      edgectl twin <device> set <property>=<value> ...
      """,
    discussion: """
      EXPECTED is what the property should be, ACTUAL what the device says it is, WISHED what the cloud's Device object says. \
      A version is how often the cloud and the edge changed a value.
      """)

  @Argument(help: "The device's name, or namespace/name.")
  var device: String

  @Argument(help: "set property=value ...")
  var action: [String] = []

  @Option(name: .shortAndLong, help: "The device's namespace.")
  var namespace = "default"

  @Flag(help: "Shows the properties again after each change.")
  var watch = false

  @OptionGroup var options: GlobalOptions

  func validate() throws {
    guard let first = action.first else { return }
    guard first == "set", action.count > 1,
      action.dropFirst().allSatisfy({ $0.split(separator: "=", maxSplits: 1).count >= 1 && $0.contains("=") && !$0.hasPrefix("=") })
    else { throw ValidationError("After the device comes nothing, or: set property=value ...") }
  }

  private var path: String {
    let parts = device.split(separator: "/", maxSplits: 1).map(String.init)
    let (namespace, name) = parts.count == 2 ? (parts[0], parts[1]) : (namespace, device)
    return "/v1/devices/\(queryEscaped(namespace))/\(queryEscaped(name))"
  }

  func run() async throws {
    if !action.isEmpty {
      try await set()
    } else if watch {
      try await options.client.lines(path + "?watch=true") { line in
        if options.output == .json { return print(line) }
        try show(try JSONValue(json: line))
        print("")
      }
    } else {
      try show(try await options.client.get(path))
    }
  }

  private func set() async throws {
    var properties: [JSONValue.Member] = []
    for assignment in action.dropFirst() {
      let sides = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      properties.append(.init(String(sides[0]), .object([.init("expected", .object([.init("value", .string(String(sides[1])))]))])))
    }
    let update = JSONValue.object([
      .init("event_id", .string("edgectl")), .init("timestamp", .number("0")), .init("twin", .object(properties)),
    ])
    _ = try await options.client.post(path + "/twin", update)
    try show(try await options.client.get(path))
  }

  private func show(_ answer: JSONValue) throws {
    if options.output == .json { return print(answer.jsonText(pretty: true)) }
    let device: DeviceSummary = try answer.decode()
    print("Device:    \(device.id)")
    print(
      "State:     \(device.state.isEmpty ? "unknown" : device.state)\(device.lastOnline.isEmpty ? "" : ", online \(device.lastOnline)")")
    if let name = device.protocolName { print("Protocol:  \(name), \(device.mapper.map { "mapper \($0)" } ?? "no mapper has registered")") }
    print("Cloud:     \(device.isOwed ? "has still to be told" : "knows everything")")
    var table = Table("PROPERTY", "TYPE", "EXPECTED", "VERSION", "ACTUAL", "VERSION", "AT", "WISHED")
    for twin in device.twins {
      table.add(
        twin.name, twin.type, twin.expected?.value ?? "-", twin.expected?.version ?? "-", twin.actual?.value ?? "-",
        twin.actual?.version ?? "-", twin.actual?.time ?? "-", twin.desired ?? "-")
    }
    if !table.rows.isEmpty { print(table.text) }
  }
}
