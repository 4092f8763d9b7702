import ArgumentParser
import Core
import Edged
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

  static func main() {
    do {
      var command = try parseAsRoot()
      guard let run = command as? Run, !run.printsConfiguration else { return try command.run() }
      ShutdownSignals.main { signals in
        do {
          try await run.start(signals)
          return 0
        } catch {
          let text = Array("edgecore: \(error)\n".utf8)
          write(STDERR_FILENO, text, text.count)
          return 1
        }
      }
    } catch {
      exit(withError: error)
    }
  }
}

enum Version {
  static let number = "0.1.0"
  static let text = "edgecore \(number)"
}
