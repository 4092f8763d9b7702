import ArgumentParser
import KubernetesAPI
import LocalAPI
import YAML

struct Cloud: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows how the agent stands with the cloud.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/cloud")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    let cloud: CloudSummary = try answer.decode()
    let since = Timestamp(cloud.since).map { "for \(age(of: $0)), since \(cloud.since)" } ?? "since \(cloud.since)"
    print("Server:       \(cloud.server)")
    print("Connected:    \(cloud.connected ? "yes" : "no"), \(since)")
    print("Connections:  \(cloud.connections) since the agent started")
    print("Certificate:  \(cloud.certificateUntil.map { "until \($0)" } ?? "none")")
    print("Messages:     \(cloud.sent) sent, \(cloud.received) received")
    print("Outbox:       \(cloud.owed.map { "\($0) waiting" } ?? "unknown")")
    if cloud.errors.isEmpty { return }
    print("Last errors:")
    for error in cloud.errors { print("  \(error)") }
  }
}
