import ArgumentParser
import Curl
import YAML

/// A cloud for one machine, to try and test nodes without a cluster.
@main
struct CloudSim: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cloudsim",
    abstract: "Plays the cloud's side of KubeEdge, with an API server's part.",
    subcommands: [
      Serve.self, Apply.self, Get.self, Delete.self, Token.self, Nodes.self, Cut.self, Restore.self, Messages.self, Unacknowledged.self,
    ])
}

/// Where a running cloud is.
struct CloudOptions: ParsableArguments {
  @Option(help: "The folder of the cloud.")
  var dir = "/var/lib/edgecore-cloud"

  var client: ControlClient { ControlClient(socketPath: Control.socketPath(dir)) }
}

struct CommandFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// Speaks to a running cloud over its socket.
struct ControlClient: Sendable {
  var socketPath: String
  private let http = HTTPClient()

  init(socketPath: String) { self.socketPath = socketPath }

  @discardableResult
  func call(_ method: String, _ path: String, body: [UInt8] = []) async throws -> [UInt8] {
    let response: HTTPResponse
    let bytes: [UInt8]
    do {
      response = try await http.execute(
        HTTPRequest(method, "http://cloudsim" + path, body: body.isEmpty ? .none : .bytes(body), unixSocketPath: socketPath))
      bytes = try await response.body.collect(upTo: 256 << 20)
    } catch {
      throw CommandFailure("can't reach the cloud at \(socketPath): \(error)")
    }
    guard response.status == 200 else {
      throw CommandFailure(String(decoding: bytes, as: UTF8.self).split(separator: "\n").joined(separator: " "))
    }
    return bytes
  }

  func json(_ method: String, _ path: String, body: [UInt8] = []) async throws -> JSONValue {
    try JSONValue(json: try await call(method, path, body: body))
  }
}
