import Logging
import MQTT

/// One broker: the agent's connection to it, and what is published and subscribed there.
final class BrokerLink: Sendable {
  let name: String
  let status: BrokerStatus
  let client: MQTTClient
  let echoes: EchoMemory
  private let qos: Int
  private let isRetained: Bool
  /// So many tries in a row may fail before it is worth a warning: a broker that the agent starts itself isn't there at once.
  private let toleratedFailures: Int
  private let logger: Logger
  private let events: AsyncStream<MQTTEvent>
  private let bursts: BurstLog

  /// - Throws: `MQTTError`.
  init(
    name: String, server: String, options: MQTTOptions, qos: Int, isRetained: Bool, toleratedFailures: Int = 0, bursts: BurstLog,
    logger: Logger
  ) throws {
    self.toleratedFailures = toleratedFailures
    self.name = name
    self.qos = qos
    self.isRetained = isRetained
    self.logger = logger
    self.bursts = bursts
    let status = BrokerStatus(name: name, server: server, clientID: options.clientID)
    let echoes = EchoMemory()
    let (events, continuation) = AsyncStream.makeStream(of: MQTTEvent.self)
    self.status = status
    self.echoes = echoes
    self.events = events
    client = try MQTTClient(options) { event in
      if case .connected(sessionPresent: false) = event { echoes.clear() }
      continuation.yield(event)
    } onPublish: { publication in
      echoes.note(publication)
      status.notePublished()
    }
  }

  func publish(_ topic: String, _ payload: [UInt8]) {
    client.publish(MQTTPublication(topic: topic, payload: payload, qos: qos, isRetained: isRetained))
  }

  func subscribe(_ filters: [String], leaving: [String]) {
    echoes.set(filters: filters.compactMap { TopicFilter($0) })
    client.subscribe(filters, leaving: leaving)
  }

  /// Follows the connection until the task is cancelled.
  ///
  /// - Parameter onUnsubscribed: called with each filter that the broker has forgotten.
  func watch(onUnsubscribed: (String) async -> Void) async {
    var failures = 0
    for await event in events {
      switch event {
      case .connected(let sessionPresent):
        failures = 0
        status.noteConnected()
        logger.info("connected to the MQTT broker", metadata: ["broker": "\(name)", "session": "\(sessionPresent ? "kept" : "new")"])
      case .disconnected(let reason):
        status.connection.noteDisconnected()
        note("the connection to the \(name) MQTT broker was lost: \(reason)")
      case .connectFailed(let reason):
        failures += 1
        if failures > toleratedFailures { note("can't connect to the \(name) MQTT broker: \(reason)") }
      case .refused(let filter):
        status.note(refused: filter)
        logger.warning("the MQTT broker refuses a subscription", metadata: ["broker": "\(name)", "topic": "\(filter)"])
      case .unsubscribed(let filter): await onUnsubscribed(filter)
      case .publicationsDropped(let count, let reason):
        status.noteDropped(count)
        bursts.note("publish \(name) \(reason)", "a message for the \(name) MQTT broker was dropped: \(reason)")
      case .messagesDropped(let count):
        status.noteOverflow(count)
        bursts.note("receive \(name)", "messages of the \(name) MQTT broker were dropped: the agent could not take them in time")
      }
    }
  }

  private func note(_ error: String) { status.connection.note(error: error, logger: logger) }
}
