import Core
import Logging
import YAML

/// Takes what comes in: stores it, all of a batch at once, acknowledges it and tells those who watch.
struct CloudInbox: Sendable {
  let nodeName: String
  let writer: StoreWriter
  let outbox: Outbox
  let channel: ChannelContext
  let publisher: ChangePublisher
  let complaints: Complaints

  init(nodeName: String, writer: StoreWriter, outbox: Outbox, channel: ChannelContext, publisher: ChangePublisher, logger: Logger) {
    self.nodeName = nodeName
    self.writer = writer
    self.outbox = outbox
    self.channel = channel
    self.publisher = publisher
    complaints = Complaints(logger: logger)
  }

  /// What a message means for the store.
  private struct Step {
    var message: Message
    var change: StoreChange?
    var published: MetadataChange?
    var acknowledges = false
    var owed: OwedEntry?
  }

  /// - Returns: the requests of other modules among the messages; they are to be answered after this.
  func take(_ batch: [Message]) async -> [Message] {
    var requests: [Message] = []
    var steps: [Step] = []
    for message in batch {
      if let connection = CloudConnection(message) {
        await outbox.connectionChanged(connection)
      } else if message.header.sync {
        requests.append(message)
      } else if let step = message.route.group == ModuleGroup.meta.rawValue ? owedStep(message) : cloudStep(message) {
        steps.append(step)
      }
    }
    if !steps.isEmpty { await carryOut(steps) }
    return requests
  }

  // MARK: Understanding

  /// What another module of the agent wants the cloud to know.
  private func owedStep(_ message: Message) -> Step? {
    guard let key = ObjectKey(resource: message.resource) else {
      complaints.note("a module's message about no object", message)
      return nil
    }
    var entry = OwedEntry(object: "", slot: .status, operation: message.operation, resource: message.resource, content: message.content)
    switch (key.type, message.operation) {
    case ("podpatch", .patch):
      guard let uid = ObjectFacts(message.payload)?.uid else { break }
      entry.object = "pod/\(uid)"
      return Step(message: message, change: .owe(entry), owed: entry)
    case ("pod", .delete):
      guard let uid = DeletionPrecondition.uid(in: message.payload) else { break }
      entry.object = "pod/\(uid)"
      entry.slot = .deletion
      return Step(message: message, change: .owe(entry), owed: entry)
    case ("event", .insert), ("event", .update):
      entry.object = "event/\(key.namespace)/\(key.name)"
      entry.slot = .event
      return Step(message: message, change: .owe(entry), owed: entry)
    default: break
    }
    complaints.note("a module owes the cloud something that can't be delivered", message)
    return nil
  }

  /// What the cloud said.
  private func cloudStep(_ message: Message) -> Step? {
    guard let key = ObjectKey(resource: message.resource) else {
      complaints.note("a message of the cloud is about no object", message)
      return Step(message: message, acknowledges: true)
    }
    switch message.operation {
    case .insert, .update:
      return stored(message, key)
    case .delete:
      // Without a UID, as from older clouds, it means whatever has the name.
      let facts = ObjectFacts(message.payload)
      return Step(
        message: message, change: .remove(key, uid: facts?.uid),
        published: MetadataChange(kind: .removed, key: key, object: message.payload), acknowledges: true)
    case .response:
      // An answer that nobody waits for any more still brings the object, and is repeated until it is acknowledged.
      guard Acknowledgement.isDue(forReply: message, of: key.type) else {
        complaints.note("an answer that nobody waits for", message)
        return nil
      }
      guard case .object = CloudReply(message, about: message.resource) else { return nil }
      return stored(message, key)
    default:
      complaints.note("a message of the cloud with an operation that means nothing here", message)
      return Step(message: message, acknowledges: true)
    }
  }

  private func stored(_ message: Message, _ key: ObjectKey) -> Step {
    let object = message.payload
    guard let facts = ObjectFacts(object) else {
      complaints.note("a message of the cloud holds no object", message)
      return Step(message: message, acknowledges: true)
    }
    if key.type == "pod", let other = facts.nodeName, other != nodeName {
      complaints.note("a pod of another node", message)
      return Step(message: message, acknowledges: true)
    }
    return Step(
      message: message, change: .put(key, object), published: MetadataChange(kind: .stored, key: key, object: object), acknowledges: true)
  }

  // MARK: Doing

  private func carryOut(_ steps: [Step]) async {
    let changes = steps.compactMap(\.change)
    let outcomes: [StoreOutcome]
    do {
      outcomes = try await writer.apply(changes)
    } catch  where steps.count > 1 {
      // One bad change must not hold up the others.
      for step in steps { await carryOut([step]) }
      return
    } catch {
      if let entry = steps[0].owed {
        complaints.note("what the cloud is to be told can't be stored; it is told only if this agent lives on: \(error)", steps[0].message)
        await outbox.addUnstored(entry)
      } else {
        complaints.note("what came can't be stored; the cloud will repeat it: \(error)", steps[0].message)
      }
      return
    }
    var next = outcomes.makeIterator()
    var published: [MetadataChange] = []
    for step in steps {
      let outcome = step.change == nil ? nil : next.next()
      // What a test puts in is nothing that the cloud waits for.
      let isOfCloud = step.message.route.source != ModuleName.testManager.rawValue
      if step.acknowledges, isOfCloud { try? await channel.send(Acknowledgement.of(step.message), to: .websocket) }
      if var entry = step.owed, case .owed(let sequence)? = outcome {
        entry.sequence = sequence
        await outbox.add(entry)
      }
      guard let change = step.published else { continue }
      if change.kind == .removed, change.key.type == "pod", let uid = ObjectFacts(change.object)?.uid { await outbox.forget("pod/\(uid)") }
      // Who watches pods compares UIDs himself: a removal may be about one that the store never had. Of others, one that came too late is none.
      let isForWatchers = change.kind == .removed && (change.key.type == "pod" || outcome != .stale)
      if outcome == .changed || isForWatchers { published.append(change) }
    }
    for change in published { await publisher.publish(change) }
  }
}

/// The UID that a DeleteOptions object asks for.
enum DeletionPrecondition {
  static func uid(in options: [UInt8]) -> String? { (try? JSONValue(json: options))?["preconditions"]?["uid"]?.string }
}
