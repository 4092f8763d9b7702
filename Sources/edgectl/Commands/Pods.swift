import ArgumentParser
import KubernetesAPI
import LocalAPI
import YAML

struct Pods: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the pods of this node.")

  @OptionGroup var options: GlobalOptions

  @Option(name: .shortAndLong, help: "Only pods of this namespace.")
  var namespace: String?

  func run() async throws {
    let answer = try await options.client.get("/v1/pods")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    var table = Table("NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP")
    for item in answer["items"]?.array ?? [] {
      let pod: Pod = try item.decode()
      if let namespace, pod.namespace != namespace { continue }
      let summary = PodSummary(pod: pod)
      table.add(
        pod.namespace, pod.name, summary.ready, summary.state, summary.restarts, age(of: pod.status?.startTime), summary.ip)
    }
    print(table.rows.isEmpty ? "No pods." : table.text)
    let problems: [ManifestProblem] = try answer["problems"]?.decode() ?? []
    if !problems.isEmpty {
      print("\nManifests that can't be used:")
      for problem in problems { print("  \(problem.text)") }
    }
  }
}
