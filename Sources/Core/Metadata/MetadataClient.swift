import YAML

/// Asks the node's metadata store, and through it the cloud, for objects, and hands over what is meant for the cloud.
///
/// Reads of what the node keeps (pods, config maps, secrets, tokens, its node) are answered from the store, also without a cloud;
/// what isn't there is fetched. Every request ends within its deadline.
public struct MetadataClient: Sendable {
  public static let deadline: Duration = .seconds(70)

  /// One of several objects.
  public typealias Listed = (key: ObjectKey, object: [UInt8])

  private let channel: ChannelContext
  private let source: ModuleName

  /// - Parameter source: the module that asks.
  public init(channel: ChannelContext, source: ModuleName) {
    self.channel = channel
    self.source = source
  }

  // MARK: Reading

  /// An object's JSON.
  ///
  /// - Throws: `MetadataError`, `CancellationError`.
  public func get(_ key: ObjectKey, deadline: Duration = Self.deadline) async throws -> [UInt8] {
    try await request(.query, key.resource, Message.noContent, deadline)
  }

  /// An object.
  ///
  /// - Throws: `MetadataError`, `DecodingFailure`, `JSONSyntaxError`, `CancellationError`.
  public func get<T: Decodable>(_ key: ObjectKey, as type: T.Type = T.self, deadline: Duration = Self.deadline) async throws -> T {
    try JSONValue(json: try await get(key, deadline: deadline)).decode(type)
  }

  /// All objects of a type that the store has, of all namespaces.
  ///
  /// - Throws: `MetadataError`, `CancellationError`.
  public func list(_ type: String, deadline: Duration = Self.deadline) async throws -> [Listed] {
    let answer = try await request(.query, "\(ObjectKey.clusterScope)/\(type)", Message.noContent, deadline)
    return try JSONScan.members(of: answer).compactMap { member in
      ObjectKey(resource: member.key).map { ($0, Array(answer[member.value])) }
    }
  }

  // MARK: Asking the cloud

  /// Has the cloud create an object; answers with it as the cloud has it.
  ///
  /// - Throws: `MetadataError`, `.alreadyExists` and `.offline` among them; `CancellationError`.
  public func create(_ key: ObjectKey, _ object: [UInt8], deadline: Duration = Self.deadline) async throws -> [UInt8] {
    try await request(.insert, key.resource, object, deadline)
  }

  /// Has the cloud replace an object; answers with it as the cloud has it, `"OK"` for types of which the cloud says no more.
  public func update(_ key: ObjectKey, _ object: [UInt8], deadline: Duration = Self.deadline) async throws -> [UInt8] {
    try await request(.update, key.resource, object, deadline)
  }

  /// Has the cloud patch an object (strategic merge); answers with it as the cloud has it.
  public func patch(_ key: ObjectKey, _ patch: [UInt8], deadline: Duration = Self.deadline) async throws -> [UInt8] {
    try await request(.patch, key.resource, JSONValue.string(String(decoding: patch, as: UTF8.self)).jsonBytes(), deadline)
  }

  /// A token for a service account; `tokenRequest` and the answer are TokenRequest objects. Tokens are kept and renewed in time.
  public func token(namespace: String, serviceAccount: String, tokenRequest: [UInt8], deadline: Duration = Self.deadline) async throws
    -> [UInt8]
  {
    try await request(.query, "\(namespace)/serviceaccounttoken/\(serviceAccount)", tokenRequest, deadline)
  }

  private func request(
    _ operation: Message.Operation, _ resource: String, _ content: [UInt8], _ deadline: Duration
  ) async throws -> [UInt8] {
    let answer: Message
    do {
      answer = try await channel.request(message(operation, resource, content), to: .metaManager, timeout: deadline)
    } catch ChannelError.timeout {
      throw MetadataError(.timeout, "no answer about \(resource) within \(deadline)")
    } catch let error as ChannelError {
      throw MetadataError(.unavailable, "\(error)")
    }
    if answer.operation == .error { throw MetadataError(content: answer.content) }
    return answer.content
  }

  // MARK: Owing the cloud

  /// Hands over a pod's newest status; it reaches the cloud sooner or later, over restarts, unless a newer one comes first.
  ///
  /// - Parameter patch: a strategic merge patch of the pod with its UID; it has to be complete in itself.
  public func owe(podPatch patch: [UInt8], namespace: String, name: String) async throws {
    let key = ObjectKey(namespace: namespace, type: "podpatch", name: name)
    try await owe(.patch, key, JSONValue.string(String(decoding: patch, as: UTF8.self)).jsonBytes())
  }

  /// Hands over that a pod has ended and may be deleted.
  ///
  /// - Parameter options: DeleteOptions with the pod's UID as precondition.
  public func owe(podDeletion options: [UInt8], namespace: String, name: String) async throws {
    try await owe(.delete, ObjectKey(namespace: namespace, type: "pod", name: name), options)
  }

  /// Hands over an event.
  public func owe(event: [UInt8], namespace: String, name: String, isNew: Bool) async throws {
    try await owe(isNew ? .insert : .update, ObjectKey(namespace: namespace, type: "event", name: name), event)
  }

  private func owe(_ operation: Message.Operation, _ key: ObjectKey, _ content: [UInt8]) async throws {
    do {
      try await channel.send(message(operation, key.resource, content), to: .metaManager)
    } catch let error as ChannelError {
      throw MetadataError(.unavailable, "\(error)")
    }
  }

  private func message(_ operation: Message.Operation, _ resource: String, _ content: [UInt8]) -> Message {
    Message(
      route: .init(source: source.rawValue, group: ModuleGroup.meta.rawValue, operation: operation, resource: resource), content: content)
  }

  // MARK: Watching

  /// The changes of objects of some types from now on, in the order in which they were stored. Who lists after this call misses nothing.
  /// A slow reader makes the store wait. The watch ends with the task that reads it, or with `end()`.
  public func watch(_ types: String...) throws(ChannelError) -> Watch {
    let mailbox = ModuleName("\(source)-watch-\(MessageID.make().prefix(8))")
    try channel.register(mailbox)
    for type in types { try channel.add(mailbox, to: .watch(type)) }
    return Watch(channel: channel, mailbox: mailbox) { message in
      ObjectKey(resource: message.resource).map {
        MetadataChange(kind: message.operation == .delete ? .removed : .stored, key: $0, object: message.content)
      }
    }
  }

  /// The coming and going of the connection to the cloud from now on.
  public func connectionChanges() throws(ChannelError) -> ConnectionChanges {
    let mailbox = ModuleName("\(source)-connection-\(MessageID.make().prefix(8))")
    try channel.register(mailbox, group: .connection)
    return ConnectionChanges(channel: channel, mailbox: mailbox) { CloudConnection($0) }
  }

  /// Tells who wants to know it that the cloud has the Node.
  public func announce(_ registration: NodeRegistration) async {
    // Without anybody who wants to know, the group isn't there.
    do { try await channel.send(registration.message, toGroup: .registration) } catch {}
  }

  /// Changes of objects.
  public typealias Watch = Changes<MetadataChange>
  /// The state of the connection each time it changes.
  public typealias ConnectionChanges = Changes<CloudConnection>

  /// What a mailbox of its own is told of, for one reader; messages that mean nothing to it are skipped.
  public struct Changes<Element: Sendable>: AsyncSequence, Sendable {
    public typealias Failure = Never
    let channel: ChannelContext
    let mailbox: ModuleName
    let read: @Sendable (Message) -> Element?

    public func makeAsyncIterator() -> Iterator {
      Iterator(messages: channel.messages(for: mailbox).makeAsyncIterator(), read: read)
    }

    public func end() { channel.unregister(mailbox) }

    public struct Iterator: AsyncIteratorProtocol {
      var messages: Messages.Iterator
      let read: @Sendable (Message) -> Element?

      public mutating func next() async -> Element? { await next(isolation: nil) }

      public mutating func next(isolation actor: isolated (any Actor)?) async -> Element? {
        while let message = await messages.next(isolation: actor) {
          if let element = read(message) { return element }
        }
        return nil
      }
    }
  }
}
