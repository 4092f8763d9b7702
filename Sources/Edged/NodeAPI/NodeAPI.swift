import Core
import HTTPServer
import Logging
import NIOCore
import Runtime

/// The node's HTTP API: what the kubelet serves on its read-only port, for the cloud's stream tunnel and for tools on the node.
///
/// Whoever is served may run commands in pods; `ClientAccess` says who is. Others are only told whether the node is healthy.
struct NodeAPI: Sendable {
  let configuration: EdgedConfiguration
  /// nil while the node isn't ready.
  let node: @Sendable () -> EdgedNode?
  /// The agent's own metrics in Prometheus' text format.
  let metrics: @Sendable () -> String
  /// For connections into pods.
  let events: any EventLoopGroup
  let logger: Logger

  static let debuggingDisabled = "Debug endpoints are disabled."

  /// All paths: those for everybody, those for clients with access, and those that `enableDebuggingHandlers` can switch off.
  var routes: [Route] {
    let health = NodeHealth(configuration: configuration, node: node)
    let allowsDebugging = configuration.tailoredKubeletConfig.enableDebuggingHandlers
    let access = ClientAccess(
      servesOtherHosts: !configuration.tailoredKubeletConfig.tlsCertFile.isEmpty, nodeName: configuration.hostnameOverride)
    return health.routes + objectRoutes.map { Self.guarded($0, access) }
      + debuggingRoutes.map { allowsDebugging ? Self.guarded($0, access) : Self.disabled($0) }
  }

  /// Pods, settings, and what is used.
  private var objectRoutes: [Route] {
    let objects = NodeObjects(configuration: configuration, node: readyNode)
    return [
      Route("GET", "/pods") { _ in try await objects.pods() },
      Route("GET", "/configz") { _ in try objects.settings() },
    ] + NodeStatistics(node: readyNode, metrics: metrics).routes
  }

  /// What reads or runs something inside pods.
  private var debuggingRoutes: [Route] {
    let objects = NodeObjects(configuration: configuration, node: readyNode)
    let logs = NodeLogs(node: readyNode)
    let commands = NodeCommands(
      node: readyNode, idleTimeout: configuration.tailoredKubeletConfig.streamingConnectionIdleTimeout.duration, logger: logger)
    let ports = NodePortForward(
      node: readyNode, events: events, idleTimeout: configuration.tailoredKubeletConfig.streamingConnectionIdleTimeout.duration,
      logger: logger)
    var routes = [
      Route("GET", "/runningpods") { _ in try await objects.runningPods() },
      Route("GET", "/containerLogs/{namespace}/{pod}/{container}") { try await logs.answer($0) },
      Route("POST", "/checkpoint/{namespace}/{pod}/{container}") { try await commands.checkpoint($0) },
    ]
    for middle in ["", "/{uid}"] {
      let container = "/{namespace}/{pod}\(middle)/{container}"
      routes.append(Route("POST", "/run" + container) { try await commands.run($0) })
      for method in ["GET", "POST"] {
        routes += [
          Route(method, "/exec" + container, handler: .takeOver { try await commands.exec($0) }),
          Route(method, "/attach" + container, handler: .takeOver { try await commands.attach($0) }),
          Route(method, "/portForward/{namespace}/{pod}\(middle)", handler: .takeOver { try await ports.answer($0) }),
        ]
      }
    }
    return routes
  }

  private var readyNode: @Sendable () throws -> EdgedNode {
    let node = node
    return {
      guard let node = node() else { throw ServerError(status: 503, message: "the node isn't ready: it waits for a container engine") }
      return node
    }
  }

  // MARK: Access

  private static func disabled(_ route: Route) -> Route {
    Route(route.method, route.pattern) { _ in .text(debuggingDisabled + "\n", status: 405) }
  }

  private static func guarded(_ route: Route, _ access: ClientAccess) -> Route {
    switch route.handler {
    case .respond(let handler):
      return Route(route.method, route.pattern) { request in
        if let refusal = access.refusal(of: request) { return answer(to: refusal) }
        return await plainly { try await handler(request) }
      }
    case .takeOver(let handler):
      return Route(
        route.method, route.pattern,
        handler: .takeOver { request in
          if let refusal = access.refusal(of: request) { return .respond(answer(to: refusal)) }
          do { return try await handler(request) } catch { return .respond(answer(to: error)) }
        })
    }
  }

  private static func plainly(_ body: () async throws -> ServerResponse) async -> ServerResponse {
    do { return try await body() } catch { return answer(to: error) }
  }

  /// Clients show these texts as they are; they have no line end.
  static func answer(to error: any Error) -> ServerResponse {
    switch error {
    case let error as ServerError: return .text(error.message, status: error.status)
    case let error as RuntimeError:
      switch error.code {
      case .notFound: return .text(error.description, status: 404)
      case .resourceExhausted:
        var response = ServerResponse.text(error.description, status: 429)
        // The engine keeps what was asked for and never fetched for a minute.
        response.headers = [("Retry-After", "60")]
        return response
      default: return .text(error.description, status: 500)
      }
    default: return .text("\(error)", status: 500)
    }
  }
}
