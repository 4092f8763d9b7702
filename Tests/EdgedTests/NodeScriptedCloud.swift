import Core
import Synchronization
import YAML

/// The metadata store and the cloud behind it, as far as a node's registration, status and lease need them.
final class NodeScriptedCloud: Sendable {
  struct State {
    var isOnline = true
    var node: JSONValue?
    var lease: JSONValue?
    var revision: Int64 = 100
    var registrations = 0
    /// Errors for the next requests, by operation and type: `update lease`.
    var failures: [String: [MetadataError.Kind]] = [:]
    var requests: [Message] = []
  }

  static let nodeKey = ObjectKey(type: "node", name: "edge-1")
  let channel: ChannelContext
  let state = Mutex(State())

  init(channel: ChannelContext) throws {
    self.channel = channel
    try channel.register(.metaManager, group: .meta)
  }

  /// Answers until the task is cancelled.
  func run() async {
    for await message in channel.messages(for: .metaManager) {
      let (answer, isStored) = state.withLock { $0.answer(message) }
      // What comes from the cloud is stored and told before it is answered.
      if isStored { await tellNode() }
      switch answer {
      case .success(let content): channel.respond(to: message, with: .reply(to: message, content: content))
      case .failure(let error): channel.respond(to: message, with: .reply(to: message, operation: .error, content: error.content))
      }
    }
  }

  // MARK: What a test sees

  /// Operation and type of each request so far: `insert node`, `patch nodepatch`, `update lease`.
  var log: [String] {
    state.withLock { $0.requests.map { "\($0.operation) \(ObjectKey(resource: $0.resource)?.type ?? $0.resource)" } }
  }

  func log(of type: String) -> [String] { log.filter { $0.hasSuffix(" \(type)") } }

  /// The contents of all requests of that operation and type; a patch as what is in its string.
  func contents(_ entry: String) -> [JSONValue] {
    let requests = state.withLock { $0.requests }
    return zip(log, requests).filter { $0.0 == entry }.compactMap { try? JSONValue(json: $0.1.payload) }
  }

  // MARK: What a test does

  func connect() async throws {
    state.withLock { $0.isOnline = true }
    try await channel.send(CloudConnection.connected.message, toGroup: .connection)
  }

  func disconnect() async throws {
    state.withLock { $0.isOnline = false }
    try await channel.send(CloudConnection.disconnected.message, toGroup: .connection)
  }

  func fail(_ entry: String, with kinds: MetadataError.Kind...) { state.withLock { $0.failures[entry, default: []] += kinds } }

  /// Changes the Node in the cloud and tells the node so.
  func changeNode(_ body: @Sendable (inout JSONValue) -> Void) async {
    state.withLock { state in
      guard var node = state.node else { return }
      body(&node)
      state.store(node: node)
    }
    await tellNode()
  }

  func deleteNode() async throws {
    let node = state.withLock { state in
      defer { state.node = nil }
      return state.node
    }
    try await tellDeletion(uid: node?["metadata"]?["uid"]?.string ?? "")
  }

  func tellDeletion(uid: String) async throws {
    try await publish(.delete, .object([.init("metadata", .object([.init("name", .string("edge-1")), .init("uid", .string(uid))]))]))
  }

  private func tellNode() async {
    guard let node = state.withLock({ $0.node }) else { return }
    try? await publish(.update, node)
  }

  private func publish(_ operation: Message.Operation, _ object: JSONValue) async throws {
    let route = Message.Route(source: "metamanager", operation: operation, resource: Self.nodeKey.resource)
    try await channel.send(Message(route: route, content: object.jsonBytes()), toGroup: .watch("node"))
  }
}

extension NodeScriptedCloud.State {
  typealias Answer = Result<[UInt8], MetadataError>

  mutating func store(node: JSONValue) {
    revision += 1
    var node = node
    var metadata = node["metadata"] ?? .object([])
    metadata["resourceVersion"] = .string("\(revision)")
    node["metadata"] = metadata
    self.node = node
  }

  fileprivate mutating func answer(_ message: Message) -> (Answer, isStored: Bool) {
    requests.append(message)
    let type = ObjectKey(resource: message.resource)?.type ?? ""
    let entry = "\(message.operation) \(type)"
    if !isOnline, entry != "query node" { return (.failure(MetadataError(.offline, "the cloud is away")), false) }
    if var planned = failures[entry], !planned.isEmpty {
      let kind = planned.removeFirst()
      failures[entry] = planned
      return (.failure(MetadataError(kind, "\(entry): \(kind)")), false)
    }
    guard let content = try? JSONValue(json: message.payload) else { return (.failure(MetadataError(.refused, "no JSON")), false) }
    switch entry {
    case "insert node":
      guard node == nil else { return (.failure(MetadataError(.alreadyExists, "already exists")), false) }
      registrations += 1
      var created = content
      created["metadata"]?["uid"] = .string("node-\(registrations)")
      store(node: created)
      return (found(node), true)
    case "query node": return (found(node), false)
    case "update node":
      store(node: content)
      return (.success(Array(#""OK""#.utf8)), true)
    case "patch nodepatch":
      guard var patched = node else { return (found(nil), false) }
      for member in content["status"]?.object ?? [] {
        var value: JSONValue? = member.value == .null ? nil : member.value
        if let items = value?.array { value = .array(items.filter { $0["$patch"] == nil }) }
        patched["status"]?[member.key] = value
      }
      store(node: patched)
      return (found(node), true)
    case "query lease": return (found(lease), false)
    case "insert lease", "update lease":
      if entry == "update lease", lease == nil { return (found(nil), false) }
      revision += 1
      var stored = content
      stored["metadata"]?["resourceVersion"] = .string("\(revision)")
      lease = stored
      return (found(lease), false)
    default: return (.failure(MetadataError(.refused, "unexpected: \(entry)")), false)
    }
  }

  private func found(_ object: JSONValue?) -> Answer {
    object.map { .success($0.jsonBytes()) } ?? .failure(MetadataError(.notFound, "not found"))
  }
}
