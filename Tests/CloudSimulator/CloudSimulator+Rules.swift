import Core
import FoundationEssentials
import YAML

/// The router's side: what rules make of calls, as messages to nodes and from them.
extension CloudSimulator {
  // MARK: Rules with a node as their source

  /// A rule from an MQTT topic of a node begins.
  public func addEventBusSource(_ node: String, namespace: String = "default", topic: String) throws {
    try route(.subscribe, Self.cleaned("\(namespace)/\(topic)"), source: "router_eventbus", to: node)
  }

  /// Its last rule has ended.
  public func removeEventBusSource(_ node: String, namespace: String = "default", topic: String) throws {
    try route(.unsubscribe, Self.cleaned("\(namespace)/\(topic)"), source: "router_eventbus", to: node)
  }

  /// A rule from a node's applications to a URL begins.
  public func addServiceBusSource(_ node: String, targetURL: String) throws {
    try route(.start, targetURL, source: "router_servicebus", to: node)
  }

  /// Its last rule has ended. The URL goes over the wire cleaned as if it were a path.
  public func removeServiceBusSource(_ node: String, targetURL: String) throws {
    try route(.stop, Self.cleaned(targetURL), source: "router_servicebus", to: node)
  }

  /// What a node has sent for a rule's target: MQTT messages by topic, applications' requests by URL.
  ///
  /// - Parameter resource: `<namespace>/<topic>`, or the URL.
  @discardableResult
  public func upload(
    from node: String, source: ModuleName, resource: String, within limit: Duration = .seconds(60)
  ) async throws -> Message {
    try await message(.toCloud, within: limit) { message in
      message.operation == .upload && message.route.group == "user" && message.resource == resource && message.parentID.isEmpty
        && message.route.source == (source == .eventBus ? "bus" : source.rawValue)
    }
  }

  /// Answers a request of an application as the router does once the rule's target has answered.
  ///
  /// - Parameter text: at most the first 1 MiB goes.
  public func answer(_ request: Message, from node: String, _ text: String) throws {
    let body = String(decoding: text.utf8.prefix(1 << 20), as: UTF8.self)
    try send(
      Message(
        header: .init(parentID: request.id),
        route: .init(
          source: request.route.source, group: request.route.group, operation: .response, resource: request.resource),
        content: JSONValue.string(body).jsonBytes()), to: node)
  }

  /// Answers applications' requests until the task is cancelled.
  ///
  /// - Parameter target: gets the request's content, as the rule's target would, and gives its answer; nil: none.
  public func answerRequests(_ target: @Sendable (Message) async -> String?) async {
    for await (node, request) in core.routed.stream() {
      guard request.route.source == ModuleName.serviceBus.rawValue, request.parentID.isEmpty, let text = await target(request)
      else { continue }
      try? answer(request, from: node, text)
    }
  }

  // MARK: Calls of the cloud's clients

  /// A call that becomes an MQTT message; nobody answers it.
  ///
  /// - Parameter parameter: what follows the rule's path in the call's.
  public func publish(_ node: String, topic: String, parameter: String = "", body: String) throws {
    try route(
      .publish, Self.joined(topic, parameter), source: "router_eventbus", to: node, content: JSONValue.string(body).jsonBytes())
  }

  /// An HTTP answer of an application.
  public struct ApplicationAnswer: Sendable, Hashable {
    public var status: Int
    public var headers: [String: [String]]
    public var body: [UInt8]
    public var text: String { String(decoding: body, as: UTF8.self) }
  }

  /// A call that becomes a request to an application on a node.
  ///
  /// - Throws: `CloudSimulatorError` if the node isn't connected, doesn't answer or answers something that the router can't read.
  public func call(
    _ node: String, port: Int, path: String, parameter: String = "", method: String = "GET", headers: [(String, [String])] = [],
    body: [UInt8] = [], within limit: Duration = .seconds(60)
  ) async throws -> ApplicationAnswer {
    let content = JSONValue.members(
      ("header", .object(headers.map { .init($0.0, .array($0.1.map { .string($0) })) })),
      ("body", .string(Data(body).base64EncodedString())),
      ("method", .string(method)), ("url", .string("")))
    return try await call(
      node, resource: "\(port):\(Self.joined(path, parameter))", operation: .init(method), content: content, within: limit)
  }

  /// The same, in these words.
  public func call(
    _ node: String, resource: String, operation: Message.Operation, content: JSONValue, source: String = "router_servicebus",
    within limit: Duration = .seconds(60)
  ) async throws -> ApplicationAnswer {
    let request = Message(
      route: .init(source: source, group: "user", operation: operation, resource: resource), content: content.jsonBytes())
    let answers = core.routed.stream()
    try send(request, to: node)
    let answer = await Deadline.first(within: limit) {
      for await (_, answer) in answers where answer.parentID == request.id { return answer }
      return nil
    }
    guard let answer else { throw CloudSimulatorError("no answer to \(operation) \(resource) within \(limit)") }
    return try Self.applicationAnswer(answer)
  }

  private static func applicationAnswer(_ message: Message) throws -> ApplicationAnswer {
    let content = try JSONValue(json: message.content)
    guard let status = content["status_code"]?.int, let headers = content["header"]?.object, let text = content["body"]?.string,
      let body = Data(base64Encoded: text)
    else { throw CloudSimulatorError("no HTTP answer: \(String(decoding: message.content.prefix(200), as: UTF8.self))") }
    let named = headers.map { ($0.key, $0.value.array?.compactMap(\.string) ?? []) }
    return ApplicationAnswer(status: Int(status), headers: Dictionary(named) { $0 + $1 }, body: Array(body))
  }

  // MARK: Words

  private func route(
    _ operation: Message.Operation, _ resource: String, source: String, to node: String, content: [UInt8] = Message.noContent
  ) throws {
    try send(Message(route: .init(source: source, group: "user", operation: operation, resource: resource), content: content), to: node)
  }

  private static func joined(_ path: String, _ parameter: String) -> String {
    if parameter.isEmpty { return path }
    return (path.hasSuffix("/") ? String(path.dropLast()) : path) + "/"
      + (parameter.hasPrefix("/") ? String(parameter.dropFirst()) : parameter)
  }

  private static func cleaned(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return parts.joined(separator: "/")
  }
}
