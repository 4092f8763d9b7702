import ArgumentParser
import KubernetesAPI
import LocalAPI
import YAML

struct Describe: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows everything about a pod.", subcommands: [DescribePod.self], defaultSubcommand: DescribePod.self)
}

struct DescribePod: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "pod", abstract: "Shows everything about a pod, and its events.")

  @OptionGroup var name: PodName
  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/pods/\(name.path)")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    if let item = answer["pod"] {
      print(PodDescription(pod: try item.decode(), events: try answer["events"]?.decode() ?? []).text)
    }
    let problems: [ManifestProblem] = try answer["problems"]?.decode() ?? []
    if !problems.isEmpty {
      print("Problems:")
      for problem in problems { print("  \(problem.text)") }
    }
  }
}
