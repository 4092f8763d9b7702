import ArgumentParser
import LocalAPI
import YAML

struct Devices: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the devices of this node.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/devices")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    var table = Table("DEVICE", "STATE", "LAST ONLINE", "PROTOCOL", "MAPPER", "PROPERTIES", "CLOUD")
    for device in try answer.decode([DeviceSummary].self) {
      table.add(
        device.id, device.state.isEmpty ? "-" : device.state, device.lastOnline.isEmpty ? "-" : device.lastOnline,
        device.protocolName ?? "-", device.mapper ?? "-", "\(device.twins.count)", device.isOwed ? "to be told" : "told")
    }
    print(table.rows.isEmpty ? "No devices." : table.text)
  }
}
