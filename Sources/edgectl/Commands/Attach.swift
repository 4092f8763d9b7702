import ArgumentParser
import Glibc

struct Attach: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connects to the streams of a container's first process.",
    usage: "edgectl attach [-it] [-n <namespace>] [-c <container>] <pod>")

  @OptionGroup var options: GlobalOptions

  @Flag(name: [.customShort("i"), .long], help: "Passes the input on.")
  var stdin = false

  @Flag(name: .shortAndLong, help: "The container has a terminal.")
  var tty = false

  @Option(name: .shortAndLong, help: "The container; needed if the pod has several.")
  var container: String?

  @OptionGroup var name: PodName

  func run() async throws {
    var query: [String] = []
    if let container { query.append("container=\(queryEscaped(container))") }
    if stdin { query.append("stdin=true") }
    if tty { query.append("tty=true") }
    let (connection, first) = try await options.client.upgrade("/v1/pods/\(name.path)/attach?" + query.joined(separator: "&"))
    _ = try await ExecSession(connection: connection, sendsInput: stdin, hasTerminal: tty).run(first: first)
  }
}
