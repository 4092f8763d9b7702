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
    print("Server:       \(cloud.server)")
    print("Connected:    \(cloud.connected ? "yes" : "no"), \(time(since: cloud.since))")
    print("Connections:  \(cloud.connections) since the agent started")
    print("Certificate:  \(cloud.certificateUntil.map { "until \($0)" } ?? "none")")
    print("Messages:     \(cloud.sent) sent, \(cloud.received) received")
    print("Outbox:       \(cloud.owed.map { "\($0) waiting" } ?? "unknown")")
    if let tunnel = cloud.tunnel {
      let state = tunnel.connected ? "connected" : "not connected"
      print("Tunnel:       \(tunnel.server), \(state), \(time(since: tunnel.since)); sessions: \(tunnel.sessions)")
    }
    if let bus = cloud.serviceBus {
      let state = bus.listening ? "listening" : "not listening"
      print(
        "ServiceBus:   \(bus.encrypted ? "https" : "http")://\(bus.server), \(state); requests: \(bus.requests), from the cloud: \(bus.calls)"
      )
      for url in bus.targetURLs { print("              \(url)") }
    }
    let errors =
      cloud.errors + (cloud.serviceBus?.lastError.map { ["\($0)"] } ?? []) + (cloud.tunnel?.lastError.map { ["\($0) (tunnel)"] } ?? [])
    if errors.isEmpty { return }
    print("Last errors:")
    for error in errors { print("  \(error)") }
  }

  private func time(since text: String) -> String {
    Timestamp(text).map { "for \(age(of: $0)), since \(text)" } ?? "since \(text)"
  }
}
