import HTTPServer
import KubernetesAPI
import Logging
import Runtime
import YAML

/// Commands in containers, and containers' own streams.
struct NodeCommands: Sendable {
  let node: @Sendable () throws -> EdgedNode
  let idleTimeout: Duration
  let logger: Logger

  func exec(_ request: ServerRequest) async throws -> Route.Takeover {
    let wanted = try RemoteCommandRequest(request)
    let node = try node()
    let pod = try await node.pod(request)
    let container = try await node.runningContainer(request, of: pod)
    return try await takeover(
      request, wanted.options, node, .exec(containerID: container.id, command: wanted.command, options: wanted.options)
    ) {
      try await node.runtime.exec(container.id, command: wanted.command, options: wanted.options)
    }
  }

  func attach(_ request: ServerRequest) async throws -> Route.Takeover {
    var wanted = try RemoteCommandRequest(request)
    let node = try node()
    let pod = try await node.pod(request)
    let container = try await node.runningContainer(request, of: pod)
    // Which streams there are was the client's choice; whether the process has a terminal was the pod's.
    let streams = wanted.options
    wanted.options.tty = pod.containerTerminals[container.name] ?? false
    if wanted.options.tty { wanted.options.stderr = false }
    let options = wanted.options
    return try await takeover(request, streams, node, .attach(containerID: container.id, options: options)) {
      try await node.runtime.attach(container.id, options: options)
    }
  }

  /// - Parameters:
  ///   - streams: those that the client will open.
  ///   - open: starts the session where the engine doesn't serve streams itself.
  private func takeover(
    _ request: ServerRequest, _ streams: StreamOptions, _ node: EdgedNode, _ wanted: StreamRequest,
    _ open: @escaping @Sendable () async throws -> any StreamSession
  ) async throws -> Route.Takeover {
    guard request.isUpgrade else { return .respond(StreamUpgrade.required) }
    let upgrade = StreamUpgrade(request: request)
    let idle = IdleClock(timeout: idleTimeout)
    if let server = try await node.runtime.streamServer(for: wanted) { return try await upgrade.proxied(to: server, idle: idle) }
    let server = RemoteCommandServer(streams: streams, idle: idle, open: open)
    switch upgrade.agreement(spdy: RemoteCommandVersion.allCases.map(\.rawValue), webSocket: WebSocketProtocol.remoteCommand) {
    case .refused(let response): return .respond(response)
    case .spdy(let version):
      return .stream { connection in
        try await connection.write(StreamUpgrade.switching(version: version))
        await server.serve(connection, RemoteCommandVersion(rawValue: version) ?? .v1)
      }
    case .webSocket(let version, let key):
      return .stream { connection in
        try await connection.speakWebSocket(head: version.switching(key: key))
        await server.serve(connection, version)
      }
    }
  }

  /// Runs a command and answers with all it printed.
  func run(_ request: ServerRequest) async throws -> ServerResponse {
    let node = try node()
    let pod = try await node.pod(request)
    let container = try await node.runningContainer(request, of: pod)
    let command = (request.queryValue("cmd") ?? "").split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    let result = try await withThrowingTaskGroup(of: ExecResult?.self) { tasks in
      tasks.addTask { try await node.runtime.execSync(container.id, command: command, timeout: nil) }
      // Nobody is left to read it.
      tasks.addTask {
        await request.waitUntilPeerEnds()
        return nil
      }
      defer { tasks.cancelAll() }
      return try await tasks.next() ?? nil
    }
    guard let result else { throw ServerError(status: 500, message: "the client left") }
    guard result.exitCode == 0 else {
      let stderr = String(decoding: result.stderr, as: UTF8.self)
      throw ServerError(status: 500, message: "command '\(command.joined(separator: " "))' exited with \(result.exitCode): \(stderr)")
    }
    return ServerResponse(contentType: "application/json", body: .bytes(result.stdout + result.stderr))
  }

  /// Writes a container's state to a file on the node and names that.
  func checkpoint(_ request: ServerRequest) async throws -> ServerResponse {
    let node = try node()
    let pod = try await node.pod(request)
    let name = request.parameters["container"] ?? ""
    guard pod.containerTerminals[name] != nil else { throw ServerError.notFound("container \(name) does not exist") }
    var timeout: Duration?
    if let text = request.queryValue("timeout") {
      guard let seconds = UInt32(text) else { throw ServerError.notFound("cannot parse value of timeout parameter \"\(text)\"") }
      timeout = .seconds(Int64(seconds))
    }
    let container = try await node.runningContainer(request, of: pod)
    let folder = node.operations.paths.checkpoints
    _ = try FileSystem.makeDirectories(folder, mode: 0o700)
    let file = "\(folder)/checkpoint-\(pod.name)_\(pod.namespace)-\(name)-\(Timestamp.now).tar"
    do {
      try await node.runtime.checkpoint(container.id, to: file, timeout: timeout)
    } catch let error as RuntimeError where error.code == .unsupported {
      throw ServerError.notFound("this container engine makes no checkpoints: \(error.message)")
    }
    return .json(JSONValue.object([.init("items", .array([.string(file)]))]).jsonBytes())
  }
}
