import ArgumentParser
import Glibc

struct Exec: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Runs a command in a container.", usage: "edgectl exec [-it] [-n <namespace>] [-c <container>] <pod> -- <command> ...")

  @OptionGroup var options: GlobalOptions

  @Flag(name: [.customShort("i"), .long], help: "Passes the input on.")
  var stdin = false

  @Flag(name: .shortAndLong, help: "Gives the command a terminal.")
  var tty = false

  @Option(name: .shortAndLong, help: "The container; needed if the pod has several.")
  var container: String?

  @OptionGroup var name: PodName

  @Argument(parsing: .postTerminator, help: "The command and its arguments.")
  var command: [String] = []

  func run() async throws {
    if command.isEmpty { throw CommandFailure("no command; say it after --, as in: edgectl exec \(name.pod) -- ls /") }
    var query = command.map { "command=\(queryEscaped($0))" }
    if let container { query.append("container=\(queryEscaped(container))") }
    if stdin { query.append("stdin=true") }
    if tty { query.append("tty=true") }
    let (connection, first) = try await options.client.upgrade("/v1/pods/\(name.path)/exec?" + query.joined(separator: "&"))
    let code = try await ExecSession(connection: connection, sendsInput: stdin, hasTerminal: tty).run(first: first)
    if code != 0 { throw ExitCode(code) }
  }
}
