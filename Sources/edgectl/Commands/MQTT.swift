import ArgumentParser
import KubernetesAPI
import LocalAPI
import YAML

struct MQTT: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mqtt", abstract: "Shows how the agent stands with MQTT brokers, and what waits for the cloud.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/mqtt")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    let bus: BusSummary = try answer.decode()
    for broker in bus.brokers { show(broker) }
    print("Subscribed:   \(bus.subscriptions.joined(separator: ", "))")
    print("Rules:        \(bus.rules.isEmpty ? "none" : bus.rules.joined(separator: ", "))")
    let since = bus.storedSince.map { ", the oldest of \($0)" } ?? ""
    print("For twins:    \(bus.toTwins); own messages ignored: \(bus.echoes)")
    print("For the cloud: \(bus.sent) sent, \(bus.stored) waiting (\(bus.storedBytes) bytes\(since))")
    let dropped = bus.dropped.sorted { $0.key < $1.key }.map { "\($0.value) (\($0.key))" }
    print("Dropped:      \(dropped.isEmpty ? "none" : dropped.joined(separator: ", "))")
  }

  private func show(_ broker: BusSummary.Broker) {
    let process = broker.pid.map { ", process \($0)" } ?? ""
    let held = Timestamp(broker.since).map { "for \(age(of: $0)), " } ?? ""
    print("Broker:       \(broker.name), \(broker.server), client id \(broker.clientID)\(process)")
    print("  Connected:  \(broker.connected ? "yes" : "no"), \(held)since \(broker.since); connections: \(broker.connections)")
    print(
      "  Messages:   \(broker.received) received, \(broker.published) published, \(broker.waiting) waiting, \(broker.dropped) dropped")
    if !broker.refused.isEmpty { print("  Refused:    \(broker.refused.joined(separator: ", "))") }
    if let error = broker.lastError { print("  Last error: \(error)") }
  }
}
