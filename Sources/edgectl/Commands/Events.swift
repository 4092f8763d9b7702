import ArgumentParser
import KubernetesAPI
import YAML

struct Events: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists what happened to pods.")

  @OptionGroup var options: GlobalOptions

  @Flag(name: .shortAndLong, help: "Goes on with what happens from now on.")
  var watch = false

  func run() async throws {
    let client = options.client
    let answer = try await client.get("/v1/events")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
    } else {
      var table = Table("AGE", "COUNT", "TYPE", "REASON", "POD", "MESSAGE")
      for event in try answer.decode([Event].self) {
        table.add(
          age(of: event.lastTimestamp), "\(event.count ?? 1)", event.type ?? "", event.reason ?? "", Self.object(event),
          event.message ?? "")
      }
      print(table.rows.isEmpty ? "No events." : table.text)
    }
    guard watch else { return }
    try await client.lines("/v1/events/watch") { line in
      if options.output == .json {
        print(line)
      } else {
        let event: Event = try JSONValue(json: line).decode()
        print(
          "\(event.lastTimestamp?.description ?? "")  \(event.type ?? "")  \(event.reason ?? "")  \(Self.object(event))  \(event.message ?? "")"
        )
      }
    }
  }

  private static func object(_ event: Event) -> String {
    "\(event.involvedObject.namespace ?? "")/\(event.involvedObject.name ?? "")"
  }
}
