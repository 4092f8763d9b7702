import ArgumentParser
import Core
import Edged
import FoundationEssentials
import Glibc
import LocalServer
import Logging
import Metrics

/// The agent's program.
@main
struct EdgeCore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "edgecore",
    abstract: "The node agent: runs pods on this machine through containerd or Docker.",
    version: Version.text,
    subcommands: [Run.self, Config.self],
    defaultSubcommand: Run.self)

  static func main() async {
    // Before any thread exists: threads inherit which signals are blocked.
    ShutdownSignals.block()
    do {
      var command = try parseAsRoot()
      if var run = command as? Run { try await run.start() } else { try command.run() }
    } catch {
      exit(withError: error)
    }
  }
}

enum Version {
  static let text = "edgecore 0.1.0"
}
