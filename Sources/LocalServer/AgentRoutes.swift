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

  private static let answerTimeout: Duration = .seconds(15)

  var routes: [Route] {
    [
      Route("GET", "/v1/modules") { _ in .json(try JSONValue(encoding: modules()).jsonBytes()) },
      Route("GET", "/v1/messages") { _ in messages() },
      Route("GET", "/metrics") { _ in
        ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .bytes(Array(metrics.text().utf8)))
      },
      Route("GET", "/v1/pods") { _ in try await ask("pod") },
      Route("GET", "/v1/pods/{namespace}/{name}") { request in
        try await ask("\(request.parameters["namespace"] ?? "")/pod/\(request.parameters["name"] ?? "")")
      },
      Route("GET", "/v1/events") { _ in try await ask("event") },
      Route("GET", "/v1/images") { _ in try await ask("image") },
      Route("GET", "/v1/stats") { _ in try await ask("stats") },
    ]
  }

  /// What edged answers to a question about a resource.
  private func ask(_ resource: String) async throws -> ServerResponse {
    let question = Message(route: .init(source: name.rawValue, group: ModuleGroup.edged.rawValue, operation: .query, resource: resource))
    let answer: Message
    do {
      answer = try await channel.request(question, to: .edged, timeout: Self.answerTimeout)
    } catch {
      throw ServerError(status: 503, message: "edged doesn't answer: \(error)")
    }
    guard answer.operation != .error else {
      let text = (try? answer.decodeContent(String.self)) ?? "edged failed"
      throw ServerError(status: text.hasPrefix("no pod ") ? 404 : 500, message: text)
    }
    return .json(answer.content)
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
