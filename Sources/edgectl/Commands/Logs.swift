import ArgumentParser
import Glibc

struct Logs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Prints what a container logged.")

  @OptionGroup var name: PodName
  @OptionGroup var options: GlobalOptions

  @Option(name: .shortAndLong, help: "The container; needed if the pod has several.")
  var container: String?

  @Flag(name: .shortAndLong, help: "Goes on printing what is logged until the container ends.")
  var follow = false

  @Flag(name: .shortAndLong, help: "The instance before the last restart.")
  var previous = false

  @Flag(help: "Each line with its time.")
  var timestamps = false

  @Option(help: "Only the last lines.")
  var tail: Int?

  @Option(help: "Only the last seconds.")
  var sinceSeconds: Int?

  @Option(help: "At most that many bytes.")
  var limitBytes: Int?

  func run() async throws {
    var query: [String] = []
    if let container { query.append("container=\(queryEscaped(container))") }
    if follow { query.append("follow=true") }
    if previous { query.append("previous=true") }
    if timestamps { query.append("timestamps=true") }
    if let tail { query.append("tailLines=\(tail)") }
    if let sinceSeconds { query.append("sinceSeconds=\(sinceSeconds)") }
    if let limitBytes { query.append("limitBytes=\(limitBytes)") }
    let response = try await options.client.open("/v1/pods/\(name.path)/log?" + query.joined(separator: "&"))
    for try await chunk in response.body { try Terminal.write(chunk, to: STDOUT_FILENO) }
  }
}
