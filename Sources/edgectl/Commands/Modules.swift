import ArgumentParser
import KubernetesAPI
import LocalAPI
import YAML

struct Modules: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the agent's modules and how they are.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/modules")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    var table = Table("MODULE", "GROUP", "STATE", "SINCE", "RESTARTS", "WAITING", "LAST ERROR")
    for module in try answer.decode([ModuleSummary].self) {
      table.add(
        module.name, module.group, module.state, module.since.flatMap { Timestamp($0) }.map { age(of: $0) } ?? "-",
        "\(module.restarts)", module.waiting.map(String.init) ?? "-", module.lastError ?? "")
    }
    print(table.text)
  }
}
