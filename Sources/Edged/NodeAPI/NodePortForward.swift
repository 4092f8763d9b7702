import HTTPServer
import KubernetesAPI
import Logging
import NIOCore
import Runtime

/// Connections from the node to ports of pods.
struct NodePortForward: Sendable {
  static let version = "portforward.k8s.io"

  let node: @Sendable () throws -> EdgedNode
  let events: any EventLoopGroup
  let idleTimeout: Duration
  let logger: Logger

  func answer(_ request: ServerRequest) async throws -> Route.Takeover {
    let ports = try Self.ports(request)
    let node = try node()
    let pod = try await node.pod(request)
    if let uid = request.parameters["uid"], uid != pod.uid { throw ServerError.notFound("pod not found") }
    guard let sandbox = await node.view.record(of: pod.uid)?.readySandboxes.first else {
      throw ServerError.notFound("pod \(pod.fullName) has no sandbox that is ready")
    }
    guard request.isUpgrade else { return .respond(StreamUpgrade.required) }
    let upgrade = StreamUpgrade(request: request)
    let idle = IdleClock(timeout: idleTimeout)
    if let server = try await node.runtime.streamServer(for: .portForward(sandboxID: sandbox.id, ports: ports)) {
      return try await upgrade.proxied(to: server, idle: idle)
    }
    let runtime = node.runtime
    let events = events
    let server = PortForwardServer(pod: pod, idle: idle) { port, body in
      let socket = try await PodNetwork.connect(port: port, inSandbox: sandbox.id, of: runtime)
      try await StreamConnection.with(socket: try socket.release(), on: events) { try await body($0) }
    }
    switch upgrade.agreement(spdy: [Self.version], webSocket: WebSocketProtocol.portForward) {
    case .refused(let response): return .respond(response)
    case .spdy(let version):
      return .stream { connection in
        try await connection.write(StreamUpgrade.switching(version: version))
        await server.serve(connection)
      }
    case .webSocket(let version, let key):
      return .stream { connection in
        try await connection.speakWebSocket(head: version.switching(key: key))
        await server.serve(connection, version, ports: ports)
      }
    }
  }

  /// Two streams each, whose numbers have to fit into a byte, or into a character behind `0`.
  private static let portLimit = 100

  /// The ports that WebSocket clients name beforehand.
  static func ports(_ request: ServerRequest) throws(ServerError) -> [Int32] {
    guard request.headerTokens("Upgrade").contains("websocket") else { return [] }
    let texts = request.queryValues("ports") + request.queryValues("port")
    // Clients that tunnel SPDY through a WebSocket name them later.
    if request.headerTokens("Sec-WebSocket-Protocol").contains(where: { $0.hasPrefix("spdy/3.1+") }) { return [] }
    if texts.isEmpty { throw .badRequest("query parameter \"port\" is required") }
    var ports: [Int32] = []
    for text in texts {
      if text.isEmpty { throw .badRequest("query parameter \"port\" cannot be empty") }
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        guard let port = UInt16(part) else { throw .badRequest("unable to parse \"\(text)\" as a port") }
        guard port > 0 else { throw .badRequest("port \"\(text)\" must be > 0") }
        ports.append(Int32(port))
      }
    }
    guard ports.count <= portLimit else { throw .badRequest("\(ports.count) ports at once are too many; at most \(portLimit)") }
    return ports
  }
}
