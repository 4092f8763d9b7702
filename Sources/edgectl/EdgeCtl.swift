import ArgumentParser

/// The command for people who look into a node.
@main
struct EdgeCtl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edgectl",
    abstract: "Looks into the edgecore agent on this node.",
    discussion: """
      It talks to the agent over a socket that only root may use. Nothing but exec, attach and twin set changes anything.
      Shell completion: edgectl --generate-completion-script bash > /etc/bash_completion.d/edgectl
      """,
    version: "0.1.0",
    subcommands: [
      Pods.self, Describe.self, Logs.self, Exec.self, Attach.self, PortForward.self, Images.self, Top.self, Events.self,
      Devices.self, Twin.self, MQTT.self, Modules.self, Messages.self, Cloud.self, Database.self, Config.self,
    ])
}

/// Options that every command takes.
struct GlobalOptions: ParsableArguments {
  @Option(name: .long, help: "The agent's socket.")
  var socket = "/run/edgecore/edgecore.sock"

  @Option(name: .shortAndLong, help: "Output for people (table) or programs (json).")
  var output = OutputFormat.table

  var client: APIClient { APIClient(socketPath: socket) }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  case table, json
}

/// Names one pod: `shop` or `-n garden shop`, or `garden/shop`.
struct PodName: ParsableArguments {
  @Argument(help: "The pod's name, or namespace/name.")
  var pod: String

  @Option(name: .shortAndLong, help: "The pod's namespace.")
  var namespace = "default"

  var path: String {
    let parts = pod.split(separator: "/", maxSplits: 1).map(String.init)
    return parts.count == 2 ? "\(parts[0])/\(parts[1])" : "\(namespace)/\(pod)"
  }
}
