import ArgumentParser
import LocalAPI
import YAML

struct Messages: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows the messages between the agent's modules as they pass.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    try await options.client.lines("/v1/messages") { line in
      if options.output == .json {
        print(line)
        return
      }
      let message: MessageSummary = try JSONValue(json: line).decode()
      let answer = message.parentID.map { " (answers \($0.prefix(8)))" } ?? ""
      let lost = message.lost > 0 ? "  [\(message.lost) lost]" : ""
      print(
        "\(message.time)  \(message.id.prefix(8))  \(message.source) -> \(message.destination)  \(message.operation) \(message.resource)  "
          + "\(message.size) B\(answer)\(lost)")
    }
  }
}
