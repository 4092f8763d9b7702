import Core
import Curl
import GRPC
import Glibc
import HTTPServer
import Logging
import NIOPosix
import SQLite
import ServiceLifecycle
import YAML

/// The module that keeps devices' digital twins: what each property should be and what it is.
///
/// Devices speak by MQTT (through EventBus) or through mappers, which call the module's socket; the cloud says which devices there are and what
/// it wishes of them, and is told what they are like.
public final class DeviceTwin: Module {
  public let name = ModuleName.twin
  public let group = ModuleGroup.twin

  /// Messages that go into one transaction at most.
  private static let batchSize = 256

  private let configuration: DeviceTwinConfiguration
  private let nodeName: String
  private let agentDatabase: String
  private let channel: ChannelContext
  private let logger = Logger(label: "devicetwin")
  private let window = DeviceWindow()

  /// - Parameters:
  ///   - agentDatabase: path of the agent's database; the devices' own lies beside it.
  ///   - nodeName: the node's name in Kubernetes.
  public init(configuration: DeviceTwinConfiguration, nodeName: String, agentDatabase: String, channel: ChannelContext) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.agentDatabase = agentDatabase
    self.channel = channel
  }

  /// What people at the node see and change, for the local API.
  public var routes: [Route] { window.routes }

  public func run() async throws {
    let path = DatabaseFile.sibling(of: agentDatabase, named: "devicetwin")
    try DatabaseFile.prepareFolder(of: path)
    let book = try DeviceBook(path: path, agentDatabase: agentDatabase, nodeName: nodeName, logger: logger)
    try await book.open()
    let http = HTTPClient()
    let mappers = Mappers(
      client: MapperClient(http: http), mappers: try await book.mappers(), told: try await book.told(),
      remember: { await book.remember($0) }, logger: logger)
    let reporter = CloudReporter(book: book, channel: channel, logger: logger)
    let desk = DeviceDesk(book: book, reporter: reporter, channel: channel, window: window)
    window.open(desk, mappers)
    await withDiscardingTaskGroup { tasks in
      tasks.addTask { await reporter.run() }
      tasks.addTask { await ObjectFollower(desk: desk, mappers: mappers, channel: self.channel, logger: self.logger).run() }
      tasks.addTask { await self.serveMappers(mappers, book, desk) }
      tasks.addTask { await self.findConnection(reporter) }
      await cancelWhenGracefulShutdown {
        var messages = self.channel.messages(for: .twin).makeAsyncIterator()
        while let batch = await messages.nextBatch(limit: Self.batchSize) { await self.take(batch, desk, reporter) }
      }
      tasks.cancelAll()
      reporter.finish()
    }
    window.open(nil, nil)
    await mappers.stop()
    await http.shutdown()
    await book.close()
  }

  // MARK: Messages

  private func take(_ batch: [Message], _ desk: DeviceDesk, _ reporter: CloudReporter) async {
    var events: [DeviceBook.Event] = []
    for message in batch {
      if let connection = CloudConnection(message) {
        await reporter.connectionChanged(connection)
        if connection == .connected { await askForDevices() }
      } else if let event = event(message) {
        events.append(event)
      }
    }
    if !events.isEmpty { await desk.take(events) }
  }

  /// Nil for what means nothing here: late answers of the cloud among it.
  private func event(_ message: Message) -> DeviceBook.Event? {
    switch message.route.source {
    case "bus":
      let payload = message.payload
      switch DeviceTopic(message.resource) {
      case .device(let id, let subject): return .device(id: id, subject, payload: payload)
      case .membershipGet: return .membershipGet(payload: payload)
      case nil: break
      }
    case "devicecontroller", "edgemgr":
      guard message.parentID.isEmpty else { return nil }
      if message.resource.contains("membership") {
        guard let update = try? MembershipUpdate(message.payload) else { break }
        return message.resource.contains("membership/detail") ? .allDevices(update) : .membership(update)
      }
      let parts = message.resource.split(separator: "/")
      if message.resource.contains("twin/cloud_updated"), parts.count >= 4, parts[0] == "device" {
        return .device(id: parts[1...(parts.count - 3)].joined(separator: "/"), .twinCloudUpdated, payload: message.payload)
      }
      if message.operation.rawValue.contains("updated"), parts.first == "device", parts.count >= 2 {
        return .device(id: parts[1...].joined(separator: "/"), .updated, payload: message.payload)
      }
    default:
      if !message.parentID.isEmpty { return nil }
    }
    logger.debug("a message that means nothing here", metadata: ["source": "\(message.route.source)", "resource": "\(message.resource)"])
    return nil
  }

  /// Older clouds answer with the list of the node's devices.
  private func askForDevices() async {
    let question = MessageText.base(
      MessageID.make(), Message.Header.now,
      [.init("event_type", .string("group_membership_event")), .init("operation", .string("detail")), .init("group_id", .string(nodeName))])
    let message = Message(
      route: .init(source: name.rawValue, group: "resource", operation: .get, resource: "membership/detail"),
      content: JSONValue.string(question.jsonText()).jsonBytes())
    try? await channel.send(message, to: .websocket)
  }

  /// It may have been made before this run.
  private func findConnection(_ reporter: CloudReporter) async {
    if await CloudConnection.find(channel, for: name) == .connected { await reporter.connectionChanged(.connected) }
  }

  // MARK: Mappers

  private func serveMappers(_ mappers: Mappers, _ book: DeviceBook, _ desk: DeviceDesk) async {
    let service = DMIService(
      mappers: mappers, keep: { try await book.keep($0) },
      report: { id, subject, payloads in
        await desk.take(payloads.map { .device(id: id, subject, payload: $0, isFromMapper: true) })
      },
      rate: ReportRate())
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let path = configuration.dmiSocket
    var backoff = Backoff(initial: .seconds(1), maximum: .seconds(60))
    var isTold = false
    while !Task.isCancelled {
      do {
        try FolderOfSocket.prepare(path)
        try await GRPCServer(socket: path, methods: service.methods, group: events, logger: logger).run {
          self.logger.info("mappers are served", metadata: ["socket": "\(path)"])
        }
      } catch {
        if Task.isCancelled { break }
        if !isTold { logger.error("mappers can't be served; trying again", metadata: ["socket": "\(path)", "error": "\(error)"]) }
        isTold = true
        do { try await Task.sleep(for: backoff.next()) } catch { break }
      }
    }
    try? await events.shutdownGracefully()
  }
}

/// The folder in which the mappers' socket lies.
enum FolderOfSocket {
  /// Makes it, for its owner and their group, if it isn't there.
  static func prepare(_ path: String) throws {
    guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
    let folder = String(path[..<slash])
    if mkdir(folder, 0o750) == 0 || errno == EEXIST { return }
    if errno == ENOENT {
      try prepare(folder)
      if mkdir(folder, 0o750) == 0 || errno == EEXIST { return }
    }
    throw GRPCError(.unavailable, "the folder \(folder) can't be made: \(String(cString: strerror(errno)))")
  }
}
