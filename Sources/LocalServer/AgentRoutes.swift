import Core
import HTTPServer
import KubernetesAPI
import LocalAPI
import YAML

/// Paths that every agent serves: its modules, its messages, its metrics, and what modules answer to questions.
struct AgentRoutes: Sendable {
  let channel: ChannelContext
  let registry: ModuleRegistry
  let metrics: MetricsRegistry
  let name: ModuleName
  /// The configuration as it takes effect, without secrets.
  let configuration: ConfigurationSummary

  private static let answerTimeout: Duration = .seconds(15)

  var routes: [Route] {
    [
      Route("GET", "/v1/modules") { _ in .json(try JSONValue(encoding: modules()).jsonBytes()) },
      Route("GET", "/v1/messages") { _ in messages() },
      Route("GET", "/metrics") { _ in
        ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .bytes(Array(metrics.text().utf8)))
      },
      Route("GET", "/v1/pods") { _ in try await ask(.edged, "pod") },
      Route("GET", "/v1/pods/{namespace}/{name}") { request in
        try await ask(.edged, "\(request.parameters["namespace"] ?? "")/pod/\(request.parameters["name"] ?? "")")
      },
      Route("GET", "/v1/events") { _ in try await ask(.edged, "event") },
      Route("GET", "/v1/images") { _ in try await ask(.edged, "image") },
      Route("GET", "/v1/stats") { _ in try await ask(.edged, "stats") },
      Route("GET", "/v1/mqtt") { _ in try await ask(.eventBus, "mqtt") },
      Route("GET", "/v1/cloud") { _ in try await cloud() },
      Route("GET", "/v1/db/rows") { _ in try await ask(.metaManager, "null/store/rows") },
      Route("GET", "/v1/db/row") { request in
        guard let key = request.queryValue("key"), !key.isEmpty else {
          throw ServerError(status: 400, message: "which row? key=… is missing")
        }
        return try await ask(.metaManager, "null/store/row", JSONValue.string(key).jsonBytes())
      },
      Route("GET", "/v1/db/integrity") { _ in try await ask(.metaManager, "null/store/integrity") },
      Route("GET", "/v1/config") { _ in .json(try JSONValue(encoding: configuration).jsonBytes()) },
    ]
  }

  private func cloud() async throws -> ServerResponse {
    var summary: CloudSummary = try JSONValue(json: try await answer(.websocket, "cloud").content).decode()
    let store = try? JSONValue(json: try await answer(.metaManager, "null/store/state").content)
    summary.owed = store?["owed"]?.int.map { Int($0) }
    if registry.status(of: .edgeStream)?.state == .running {
      summary.tunnel = try? JSONValue(json: try await answer(.edgeStream, "tunnel").content).decode()
    }
    if registry.status(of: .serviceBus)?.state == .running {
      summary.serviceBus = try? JSONValue(json: try await answer(.serviceBus, "servicebus").content).decode()
    }
    return .json(try JSONValue(encoding: summary).jsonBytes())
  }

  private func ask(_ module: ModuleName, _ resource: String, _ content: [UInt8] = Message.noContent) async throws -> ServerResponse {
    .json(try await answer(module, resource, content).content)
  }

  /// What a module answers to a question about a resource.
  private func answer(_ module: ModuleName, _ resource: String, _ content: [UInt8] = Message.noContent) async throws -> Message {
    let question = Message(route: .init(source: name.rawValue, operation: .query, resource: resource), content: content)
    let answer: Message
    do {
      answer = try await channel.request(question, to: module, timeout: Self.answerTimeout)
    } catch ChannelError.unknownModule {
      let reason = registry.status(of: module)?.reason
      throw ServerError(status: 503, message: "the agent runs without \(module)\(reason.map { ": \($0)" } ?? "")")
    } catch {
      throw ServerError(status: 503, message: "\(module) doesn't answer: \(error)")
    }
    guard answer.operation != .error else {
      // Modules say what failed in a text or in an error with its kind.
      let text = (try? answer.decodeContent(String.self)) ?? MetadataError(content: answer.content).message
      let isMissing = text.hasPrefix("no pod ") || MetadataError(content: answer.content).kind == .notFound
      throw ServerError(status: isMissing ? 404 : 500, message: text)
    }
    return answer
  }

  private func modules() -> [ModuleSummary] {
    let waiting = Dictionary(channel.statistics().mailboxes.map { ($0.module, $0.depth) }) { first, _ in first }
    return registry.statuses.map { status in
      ModuleSummary(
        name: status.name.rawValue, group: status.group.rawValue, state: status.state.rawValue,
        since: Timestamp(nanoseconds: status.since * 1_000_000).description, restarts: status.restarts,
        lastError: status.lastError ?? status.reason, waiting: waiting[status.name])
    }
  }

  private func messages() -> ServerResponse {
    let tap = channel.tap()
    return ServerResponse(
      contentType: "application/x-ndjson",
      body: .stream { writer in
        var lost = 0
        for await tapped in tap {
          lost += tapped.lostBefore
          let message = tapped.message
          let destination = tapped.destination.rawValue.isEmpty ? message.route.group : tapped.destination.rawValue
          let summary = MessageSummary(
            time: Timestamp(nanoseconds: message.header.timestamp * 1_000_000).rfc3339(fractionDigits: 3), id: message.id,
            parentID: message.parentID.isEmpty ? nil : message.parentID, source: message.route.source, destination: destination,
            operation: message.operation.rawValue, resource: message.resource, size: message.content.count, lost: lost)
          try await writer.write(try JSONValue(encoding: summary).jsonBytes() + [0x0A])
        }
      })
  }
}
