import Core
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import YAML

/// The cloud's side of the wire: hands out certificates, takes connections of nodes, and holds the objects, as cloudcore and an API
/// server do together.
///
/// Everything happens on one thread of its own; `shutdown()` ends it.
public final class CloudSimulator: Sendable {
  /// An object of which a node has not acknowledged the newest version.
  public struct Unacknowledged: Sendable, Hashable {
    public var node: String
    /// As on the wire, e.g. `default/pod/nginx`.
    public var resource: String
    public var uid: String
    /// `0` if none was ever acknowledged.
    public var acknowledgedVersion: String
    /// Nil if the object is gone.
    public var newestVersion: String?
  }

  public let configuration: Configuration
  let core: CloudCore
  private let group: MultiThreadedEventLoopGroup
  private let https: Listener
  private let websocket: Listener
  let tunnelListener: Listener
  let tunnels = Tunnels()
  private let tasks: Mutex<[Task<Void, Never>]>
  private let directory: StateDirectory?
  private let isDirty: AsyncStream<Void>.Continuation

  // MARK: Life

  /// Starts a cloud, from what its folder holds if there is one.
  ///
  /// - Throws: errors of the folder and of listening.
  public static func start(_ configuration: Configuration = .init()) async throws -> CloudSimulator {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      let cloud = try CloudSimulator(configuration, group: group)
      try await cloud.restore()
      cloud.run()
      return cloud
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
  }

  private let dirty: AsyncStream<Void>

  private init(_ configuration: Configuration, group: MultiThreadedEventLoopGroup) throws {
    self.configuration = configuration
    self.group = group
    let directory = try configuration.stateDirectory.map { try StateDirectory($0) }
    self.directory = directory
    let authority = try directory?.authority() ?? CertificateAuthority()
    let state = try directory?.load() ?? .null
    let (dirty, changes) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    self.dirty = dirty
    isDirty = changes
    let store = state["store"].map { ObjectStore(snapshot: $0) } ?? ObjectStore()
    let core = CloudCore(
      configuration: configuration, authority: authority, store: store,
      records: state["records"].map { SyncRecords(snapshot: $0) } ?? SyncRecords(), onChange: { changes.yield() })
    self.core = core
    let loop = group.next()
    _ = store.watch { event in loop.execute { core.changed(event) } }
    var addresses = [configuration.host, "127.0.0.1"] + configuration.advertisedAddresses
    addresses = addresses.enumerated().filter { addresses.firstIndex(of: $0.element) == $0.offset }.map(\.element)
    let identity = try authority.serverIdentity(addresses: addresses)
    func port(_ wanted: Int, _ key: String) -> Int { wanted != 0 ? wanted : Int(state.at("ports", key)?.int ?? 0) }
    https = try Listener(
      host: configuration.host, port: port(configuration.httpsPort, "https"), group: group, authority: authority, identity: identity,
      clientCertificates: .requested
    ) { channel in
      try channel.pipeline.syncOperations.configureHTTPServerPipeline()
      try channel.pipeline.syncOperations.addHandler(
        BootstrapHandler(authority: authority, certificateLife: configuration.certificateLife, hasNode: { core.hasNode($0) }))
    }
    websocket = try Listener(
      host: configuration.host, port: port(configuration.websocketPort, "websocket"), group: group, authority: authority,
      identity: identity, clientCertificates: .required
    ) { try WebSocketServer.setUp($0, core: core) }
    tunnelListener = try Listener(
      host: configuration.host, port: port(configuration.tunnelPort, "tunnel"), group: group, authority: authority, identity: identity,
      clientCertificates: .required
    ) { [tunnels] in try TunnelServer.setUp($0, tunnels: tunnels, faults: core.faults) }
    tasks = Mutex([])
  }

  private func run() {
    ensureNamespace("default")
    ensureNamespace("kube-system")
    let loop = group.next()
    let interval = configuration.syncInterval
    let compare = Task { [core] in
      while !Task.isCancelled {
        try? await Task.sleep(for: interval)
        loop.execute { core.compare() }
      }
    }
    let save = Task { [self] in
      for await _ in dirty { try? saveState() }
    }
    tasks.withLock { $0 = [compare, save] }
    isDirty.yield()
  }

  private func saveState() throws {
    try directory?.save(
      .members(
        ("store", core.store.snapshot), ("records", core.records.snapshot),
        (
          "ports",
          .members(
            ("https", .number(String(https.port))), ("websocket", .number(String(websocket.port))),
            ("tunnel", .number(String(tunnelListener.port))))
        )))
  }

  /// Closes everything and writes the state down for the last time.
  public func shutdown() async {
    await cut()
    isDirty.finish()
    let tasks = tasks.withLock { tasks in
      defer { tasks = [] }
      return tasks
    }
    for task in tasks { task.cancel() }
    for task in tasks { await task.value }
    core.transcript.end()
    core.progress.end()
    core.routed.end()
    tunnels.progress.end()
    try? saveState()
    try? await group.shutdownGracefully()
  }

  // MARK: Joining

  /// A token that a node joins with: `<hash of the authority>.<JWT>`.
  public var token: String { makeToken(life: configuration.tokenLife) }

  /// A token of that life; a negative one has expired.
  public func makeToken(life: Duration) -> String { core.authority.joinToken(life: life) }

  /// `https://127.0.0.1:PORT`, for `modules.edgeHub.httpServer`.
  public var httpServer: String { "https://\(configuration.host):\(https.port)" }
  /// `127.0.0.1:PORT`, for `modules.edgeHub.websocket.server`.
  public var websocketServer: String { "\(configuration.host):\(websocket.port)" }
  /// The authority's certificate in PEM.
  public var authorityPEM: String { core.authority.pem }

  // MARK: The link

  /// The nodes that are connected.
  public var connectedNodes: [String] { core.connectedNodes }

  /// Waits until a node is connected.
  ///
  /// - Throws: `CloudSimulatorError` when the time is over.
  public func waitUntilConnected(_ node: String, within limit: Duration = .seconds(60)) async throws {
    guard await wait(within: limit, until: { [core] in core.connectedNodes.contains(node) }) else {
      throw CloudSimulatorError("the node \(node) is not connected after \(limit)")
    }
  }

  /// Waits until the nodes have acknowledged the newest version of all that they have to get.
  ///
  /// - Throws: `CloudSimulatorError` when the time is over.
  public func waitUntilAcknowledged(within limit: Duration = .seconds(60)) async throws {
    // What has changed until now has to have been brought to the nodes first.
    try? await group.next().submit {}.get()
    guard await wait(within: limit, until: { [core] in core.unacknowledged.isEmpty }) else {
      throw CloudSimulatorError("not acknowledged after \(limit): \(core.unacknowledged.map { "\($0.node) \($0.resource)" })")
    }
  }

  private func wait(within limit: Duration, until isDone: @escaping @Sendable () -> Bool) async -> Bool {
    let progress = core.progress.stream(.bufferingNewest(1))
    return await Deadline.first(within: limit) { () -> Bool? in
      if isDone() { return true }
      for await _ in progress where isDone() { return true }
      return nil
    } ?? false
  }

  /// Closes the listeners and all connections, as if cloudcore had stopped; the objects can still be changed.
  public func cut() async {
    await https.close()
    await websocket.close()
    await tunnelListener.close()
  }

  /// Listens again, on the same ports; nothing happens if it does.
  public func restore() async throws {
    try await https.open()
    do {
      try await websocket.open()
      try await tunnelListener.open()
    } catch {
      await websocket.close()
      await https.close()
      throw error
    }
  }

  /// Closes the connection of one node; it may come again at once.
  public func disconnect(_ node: String) async { try? await core.session(of: node)?.end().get() }

  /// Every message to a node takes so long from now on.
  public func delay(_ duration: Duration) { core.faults.delay(duration) }

  /// Each of the next messages to nodes is sent twice.
  public func duplicateNextMessages(_ count: Int) { core.faults.duplicate(count) }

  /// Connections stay open, but nothing is sent any more and what comes is ignored.
  public func mute() { core.faults.mute(true) }
  public func unmute() { core.faults.mute(false) }

  /// Sends a text that need not be a message.
  ///
  /// - Throws: `CloudSimulatorError` if the node isn't connected.
  public func send(raw text: String, to node: String) throws { try session(node).send(raw: Array(text.utf8)) }

  /// Sends a message as it is, once.
  ///
  /// - Throws: `CloudSimulatorError` if the node isn't connected.
  public func send(_ message: Message, to node: String) throws { try session(node).send(message) }

  private func session(_ node: String) throws -> NodeSession {
    guard let session = core.session(of: node) else { throw CloudSimulatorError("the node \(node) is not connected") }
    return session
  }

  /// Sends updates of objects without waiting for acknowledgements in between, to measure how fast a node takes them. The objects are
  /// sent as they are and not kept; they need kind, name, UID and resourceVersion.
  ///
  /// - Throws: `CloudSimulatorError` if the node isn't connected.
  public func push(_ updates: [JSONValue], to node: String) throws {
    let session = try session(node)
    for object in updates {
      let namespace = object.namespace.isEmpty ? ObjectKey.clusterScope : object.namespace
      let type = ObjectKind(object["kind"]?.string ?? "").type
      session.push(
        Message(
          header: .init(resourceVersion: object.resourceVersion),
          route: .init(source: "edgecontroller", group: "resource", operation: .update, resource: "\(namespace)/\(type)/\(object.name)"),
          content: object.jsonBytes()))
    }
  }

  /// How many of the pushed messages the node has acknowledged in its present connection.
  public func acknowledgedPushes(of node: String) -> Int { core.session(of: node)?.pushAcks ?? 0 }

  /// Objects of which a node has not acknowledged the newest version.
  public var unacknowledged: [Unacknowledged] { core.unacknowledged }

  // MARK: The transcript

  /// What went over the wire in both directions, the newest entries.
  public var transcript: [TranscriptEntry] { core.transcript.entries }

  public func clearTranscript() { core.transcript.clear() }

  /// The entries that there are and those to come.
  public func transcriptEntries() -> AsyncStream<TranscriptEntry> { core.transcript.stream() }

  /// Messages of the transcript that match.
  public func messages(
    _ direction: TranscriptEntry.Direction, matching predicate: (Message) -> Bool = { _ in true }
  ) -> [Message] {
    transcript.filter { $0.direction == direction }.compactMap(\.message).filter(predicate)
  }

  /// The first message that matches, among those that went before too.
  ///
  /// - Throws: `CloudSimulatorError` when the time is over.
  @discardableResult
  public func message(
    _ direction: TranscriptEntry.Direction, within limit: Duration = .seconds(60),
    matching predicate: @escaping @Sendable (Message) -> Bool
  ) async throws -> Message {
    let entries = core.transcript.stream()
    let found = await Deadline.first(within: limit) {
      for await entry in entries where entry.direction == direction {
        if let message = entry.message, predicate(message) { return message }
      }
      return nil
    }
    guard let found else { throw CloudSimulatorError("no such message within \(limit)") }
    return found
  }
}
