import HTTPServer
import Runtime

/// What a request for exec or attach asks for.
struct RemoteCommandRequest: Sendable, Hashable {
  var options: StreamOptions
  var command: [String]

  /// - Throws: `ServerError` 400 if no stream is wanted.
  init(_ request: ServerRequest) throws(ServerError) {
    func isWanted(_ name: String) -> Bool { request.queryValue(name) == "1" }
    let tty = isWanted("tty")
    // With a terminal, errors come as output.
    options = StreamOptions(stdin: isWanted("input"), stdout: isWanted("output"), stderr: isWanted("error") && !tty, tty: tty)
    command = request.queryValues("command")
    guard options.stdin || options.stdout || options.stderr else {
      throw .badRequest("you must specify at least 1 of stdin, stdout, stderr")
    }
  }
}
