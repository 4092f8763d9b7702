import FoundationEssentials
import HTTPServer
import KubernetesAPI
import LocalAPI
import NIOPosix
import Runtime
import YAML

/// What is a stream, and so can't be a message: logs, commands in containers, events as they happen.
struct EdgedStreams: Sendable {
  /// Throws while the module isn't ready.
  let node: @Sendable () throws -> EdgedNode

  var routes: [Route] {
    [
      Route("GET", "/v1/pods/{namespace}/{name}/log") { try await log($0) },
      Route("GET", "/v1/events/watch") { _ in try watchEvents() },
      Route.upgrade("GET", "/v1/pods/{namespace}/{name}/exec") { request, connection in
        try await run(request, connection) { node, id, options in
          try await node.runtime.exec(id, command: request.queryValues("command"), options: options)
        }
      },
      Route.upgrade("GET", "/v1/pods/{namespace}/{name}/attach") { request, connection in
        try await run(request, connection) { node, id, options in try await node.runtime.attach(id, options: options) }
      },
      Route("GET", "/v1/pods/{namespace}/{name}/forward", handler: .takeOver { try await forward($0) }),
    ]
  }

  // MARK: Logs

  private func log(_ request: ServerRequest) async throws -> ServerResponse {
    let node = try node()
    let (pod, container) = try await target(request, node)
    let record = await node.view.record(of: pod.uid)
    let instances = record?.containers.filter { $0.name == container } ?? []
    guard let instance = request.flag("previous") ? instances.dropFirst().first : instances.first else {
      throw ServerError.notFound(
        request.flag("previous")
          ? "container \(container) of pod \(pod.fullName) has no earlier instance"
          : "container \(container) of pod \(pod.fullName) hasn't started yet")
    }
    let age = try number(request, "sinceSeconds")
    let limit = try number(request, "limitBytes")
    let options = LogOptions(
      tailLines: try number(request, "tailLines"), since: age.map { Timestamp.now + .seconds(-$0) }, limitBytes: limit.map { Int64($0) },
      timestamps: request.flag("timestamps"))
    let log = ContainerLog(runtime: node.runtime, view: node.view, podUID: pod.uid, containerID: instance.id)
    let reader: LogReader
    do {
      reader = try await log.reader(options, follow: request.flag("follow"))
    } catch {
      throw ServerError(status: 500, message: "the log of container \(container) can't be read: \(error)")
    }
    return ServerResponse(
      contentType: "text/plain; charset=utf-8", body: .stream { writer in for try await chunk in reader { try await writer.write(chunk) } })
  }

  private func number(_ request: ServerRequest, _ name: String) throws -> Int? {
    guard let text = request.queryValue(name) else { return nil }
    guard let number = Int(text), number >= 0 else {
      throw ServerError.badRequest("\(name): \"\(text)\" is not allowed; allowed is a whole number from 0")
    }
    return number
  }

  /// The pod and the name of the container that a request is about.
  private func target(_ request: ServerRequest, _ node: EdgedNode) async throws -> (Pod, String) {
    let namespace = request.parameters["namespace"] ?? ""
    let name = request.parameters["name"] ?? ""
    guard let pod = await node.pods.all.last(where: { $0.pod.namespace == namespace && $0.pod.name == name })?.pod else {
      throw ServerError.notFound("no pod \(namespace)/\(name) on this node")
    }
    let names = (pod.spec.containers + pod.initContainers).map(\.name) + (pod.spec.ephemeralContainers ?? []).map(\.container.name)
    if let container = request.queryValue("container") {
      guard names.contains(container) else {
        throw ServerError.notFound("pod \(pod.fullName) has no container \(container); it has: \(names.joined(separator: ", "))")
      }
      return (pod, container)
    }
    guard pod.spec.containers.count == 1, let only = pod.spec.containers.first else {
      throw ServerError.badRequest("pod \(pod.fullName) has several containers; name one of: \(names.joined(separator: ", "))")
    }
    return (pod, only.name)
  }

  // MARK: Events

  private func watchEvents() throws -> ServerResponse {
    let events = try node().events.stream()
    return ServerResponse(
      contentType: "application/x-ndjson",
      body: .stream { writer in
        for await event in events { try await writer.write(try JSONValue(encoding: event).jsonBytes() + [0x0A]) }
      })
  }

  // MARK: Commands

  /// - Parameter open: starts a session with the container of that id.
  private func run(
    _ request: ServerRequest, _ connection: StreamConnection,
    _ open: (EdgedNode, String, StreamOptions) async throws -> any StreamSession
  ) async throws {
    let session: any StreamSession
    do {
      let node = try node()
      let (pod, container) = try await target(request, node)
      let record = await node.view.record(of: pod.uid)
      guard let running = record?.newest(container), running.state == .running else {
        throw ServerError.notFound("container \(container) of pod \(pod.fullName) isn't running")
      }
      session = try await open(node, running.id, StreamOptions(stdin: request.flag("stdin"), tty: request.flag("tty")))
    } catch {
      return try await connection.write(StreamFrame(.failed, Array("\(error)".utf8)).bytes)
    }
    await ExecRelay(session: session, connection: connection).run()
    await session.close()
  }

  // MARK: Ports

  /// Connects to a port inside the pod; the connection becomes that connection's bytes.
  private func forward(_ request: ServerRequest) async throws -> Route.Takeover {
    let node = try node()
    let namespace = request.parameters["namespace"] ?? ""
    let name = request.parameters["name"] ?? ""
    guard let port = UInt16(request.queryValue("port") ?? ""), port > 0 else {
      throw ServerError.badRequest("port: \"\(request.queryValue("port") ?? "")\" is not allowed; allowed: 1 to 65535")
    }
    guard let pod = await node.pod(namespace: namespace, name: name) else {
      throw ServerError.notFound("no pod \(namespace)/\(name) on this node")
    }
    guard let sandbox = await node.view.record(of: pod.uid)?.readySandboxes.first else {
      throw ServerError.notFound("pod \(pod.fullName) doesn't run")
    }
    let socket = try await PodNetwork.connect(port: port, inSandbox: sandbox.id, of: node.runtime)
    return .stream { client in
      try await client.write(SwitchingProtocols(headers: [("Connection", "Upgrade"), ("Upgrade", HTTPServer.streamProtocol)]).bytes)
      try await StreamConnection.with(socket: try socket.release(), on: MultiThreadedEventLoopGroup.singleton) { server in
        await StreamSplice(client: client, server: server, idle: IdleClock(timeout: .zero), endsWithClient: false).run()
      }
    }
  }
}
