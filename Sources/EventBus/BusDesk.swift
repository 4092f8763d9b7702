import Core
import KubernetesAPI
import LocalAPI
import Logging
import MQTT
import YAML

/// Does what the module's messages ask for: publishing, the cloud's rules, questions.
actor BusDesk {
  private let nodeName: String
  private let links: [BrokerLink]
  private let store: BusStore
  private let uploader: Uploader
  private let status: BusStatus
  private let channel: ChannelContext
  private let broker: ChildProcess?
  private let logger: Logger

  private var rules: [String] = []
  /// By broker: what its session may still have.
  private var leaving: [String: [String]] = [:]

  init(
    nodeName: String, links: [BrokerLink], store: BusStore, uploader: Uploader, status: BusStatus, channel: ChannelContext,
    broker: ChildProcess?, logger: Logger
  ) {
    self.nodeName = nodeName
    self.links = links
    self.store = store
    self.uploader = uploader
    self.status = status
    self.channel = channel
    self.broker = broker
    self.logger = logger
  }

  /// Takes messages out of the module's mailbox until it is gone, or the task is cancelled.
  func run() async {
    var messages = channel.messages(for: .eventBus).makeAsyncIterator()
    while let batch = await messages.nextBatch(limit: 256) {
      for message in batch { await handle(message) }
    }
  }

  private func handle(_ message: Message) async {
    if let connection = CloudConnection(message) { return await uploader.note(connection) }
    if message.header.sync { return await answer(message) }
    if message.operation == .stop, message.resource == Uploader.fenceResource { return await uploader.passFence(message.id) }
    if message.operation == .error {
      if !message.parentID.isEmpty { await uploader.noteReturned(message.parentID) }
      return
    }
    // The other bus gets these too.
    if message.route.group == "user", message.route.source != "router_eventbus" { return }
    switch message.operation {
    case .publish: await publish(message.resource, message.payload)
    case .subscribe: await subscribe(message.resource)
    case .unsubscribe: await unsubscribe(message.resource)
    case .message: await publishInner(message)
    case .getResult:
      guard message.resource == "auth_info" else {
        return status.noteRejected("get_result", "a result of \"\(message.resource.prefix(64))\" can't be published; allowed: auth_info")
      }
      await publish(Topics.authorizationResult(node: nodeName), message.content)
    default:
      status.noteRejected(
        "operation",
        "the bus doesn't know the operation \"\(message.operation.rawValue.prefix(64))\" (from \(message.route.source.prefix(64)))")
    }
  }

  // MARK: Publishing

  private func publish(_ topic: String, _ payload: [UInt8]) async {
    guard Topic.isValid(topic) else {
      return status.noteRejected("topic", "nothing can be published under the topic \"\(topic.prefix(256))\"")
    }
    guard payload.count <= MQTTPublication.payloadLimit else {
      return status.noteRejected("size", "a message for the topic \"\(topic.prefix(256))\" is too large for MQTT: \(payload.count) bytes")
    }
    for link in links {
      await link.client.waitForRoom()
      link.publish(topic, payload)
    }
  }

  /// `{"message": {"topic": …}}`: what is inside goes under the topic that it names.
  private func publishInner(_ message: Message) async {
    guard let inner = (try? JSONValue(json: message.payload))?["message"], inner.object != nil, let topic = inner["topic"]?.string else {
      return status.noteRejected("message", "a message to publish has no object \"message\" with a text \"topic\"")
    }
    await publish(topic, inner.jsonBytes())
  }

  // MARK: Rules

  /// Tells the brokers what is subscribed, as the store has it.
  func subscribe() async throws {
    rules = try await store.topics()
    for link in links { leaving[link.name] = try await store.leftTopics(link.name) }
    apply()
  }

  private func apply() {
    let filters = Topics.filters(rules: rules)
    for link in links { link.subscribe(filters, leaving: leaving[link.name] ?? []) }
  }

  private func subscribe(_ topic: String) async {
    guard TopicFilter(topic) != nil else {
      return status.noteRejected("filter", "the rule's topic \"\(topic.prefix(256))\" can't be subscribed")
    }
    await change("the rule's topic \(topic)") {
      try await store.add(topic: topic)
      if !rules.contains(topic) { rules.append(topic) }
      for link in links { leaving[link.name]?.removeAll { $0 == topic } }
    }
  }

  private func unsubscribe(_ topic: String) async {
    await change("the end of the rule's topic \(topic)") {
      try await store.remove(topic: topic, brokers: TopicFilter(topic) == nil ? [] : links.map(\.name))
      rules.removeAll { $0 == topic }
      // What is subscribed anyway stays.
      guard TopicFilter(topic) != nil, !Topics.builtIn.contains(topic) else { return }
      for link in links where leaving[link.name]?.contains(topic) != true { leaving[link.name, default: []].append(topic) }
    }
  }

  private func change(_ what: String, _ body: () async throws -> Void) async {
    do {
      try await body()
    } catch {
      logger.error("\(what) can't be kept", metadata: ["error": "\(error)"])
    }
    apply()
  }

  /// A broker has taken a topic out of the session.
  func noteForgotten(_ topic: String, by name: String) async {
    leaving[name]?.removeAll { $0 == topic }
    do { try await store.forget(topic: topic, broker: name) } catch { logger.error("\(error)") }
  }

  // MARK: Questions

  private func answer(_ query: Message) async {
    let reply: Message
    if query.operation == .query, query.resource == EventBus.statusResource, let summary = try? JSONValue(encoding: await summary()) {
      reply = .reply(to: query, from: .eventBus, content: summary.jsonBytes())
    } else {
      reply = .reply(
        to: query, from: .eventBus, operation: .error,
        content: MetadataError(.unavailable, "nothing here knows of \(query.resource.prefix(256))").content)
    }
    channel.respond(to: query, with: reply)
  }

  private func summary() async -> BusSummary {
    let waiting = await store.state
    let counts = status.counts
    return BusSummary(
      brokers: links.map { link in
        link.status.summary(
          waiting: link.client.waiting, pid: link.name == "internal" ? broker?.status.pid.map { Int($0) } : nil)
      },
      subscriptions: Topics.builtIn, rules: rules, stored: waiting.count, storedBytes: waiting.bytes,
      storedSince: waiting.oldest.map { Timestamp(seconds: $0 / 1000).description }, sent: counts.sent, dropped: counts.dropped,
      toTwins: counts.toTwins,
      echoes: counts.echoes)
  }
}
