import Core
import Curl
import HTTPServer

/// What tests may ask for, and the messages that it becomes.
struct Injection: Sendable {
  private static let methods: [(String, Message.Operation)] = [("POST", .insert), ("PUT", .update), ("DELETE", .delete)]
  private static let podListLimit = 64 << 20

  let nodeName: String
  let channel: ChannelContext
  let client: HTTPClient
  /// Where the node's own API lists pods; nil if there is none.
  let podsURL: String?

  var routes: [Route] {
    var routes = [route("GET", "/pods") { _ in try await pods() }]
    for (method, operation) in Self.methods {
      for (path, type) in [
        ("/pods", InjectedObject.Kind.pod), ("/configmap", .configMap), ("/configmaps", .configMap), ("/secret", .secret),
        ("/secrets", .secret),
      ] {
        routes.append(
          route(method, path) { request in
            let object = try InjectedObject(request.body, type, operation, nodeName: nodeName)
            return try await send(object.message(operation), to: .metaManager)
          })
      }
      routes.append(
        route(method, "/devices") { request in
          let content = try InjectedObject.json(request.body)
          let route = Message.Route(source: "edgemgr", group: "edgehub", operation: operation, resource: "membership")
          return try await send(Message(route: route, content: content.jsonBytes()), to: .twin)
        })
    }
    return routes
  }

  private func route(
    _ method: String, _ path: String, _ handler: @escaping @Sendable (ServerRequest) async throws -> ServerResponse
  ) -> Route {
    let browsers = BrowserGuard(nodeName: nodeName)
    return Route(method, path) { request in
      guard request.peer.isOnThisHost else { throw ServerError(status: 403, message: "this is only served to clients on the node itself") }
      if let refusal = browsers.refusal(of: request) { throw refusal }
      return try await handler(request)
    }
  }

  private func send(_ message: Message, to module: ModuleName) async throws -> ServerResponse {
    do {
      try await channel.send(message, to: module)
    } catch let error as ChannelError {
      throw ServerError(status: 503, message: "the agent runs without the module \(module): \(error)")
    }
    return ServerResponse(contentType: "text/plain; charset=utf-8", body: .bytes([]))
  }

  /// What the node's own API says about pods.
  private func pods() async throws -> ServerResponse {
    guard let podsURL else { throw ServerError(status: 503, message: "the node's API is off: readOnlyPort is 0") }
    var request = HTTPRequest("GET", podsURL)
    request.timeout = .seconds(30)
    do {
      let response = try await client.execute(request)
      let type = response.header("Content-Type") ?? "application/json"
      let body = try await response.body.collect(upTo: Self.podListLimit)
      return ServerResponse(status: response.status, contentType: type, body: .bytes(body))
    } catch let error as HTTPError {
      throw ServerError(status: 502, message: "the node's API doesn't answer: \(error)")
    }
  }
}
