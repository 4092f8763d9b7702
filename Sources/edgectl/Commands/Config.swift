import ArgumentParser
import LocalAPI
import YAML

struct Config: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints the configuration that the agent runs with, and where each value comes from; secrets are left out.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/config")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    let configuration: ConfigurationSummary = try answer.decode()
    for file in configuration.files { print("# \(file)") }
    print(configuration.text, terminator: "")
  }
}
