import Core
import Glibc
import Logging
import SQLite
import Synchronization
import Testing
import YAML

@testable import DeviceTwin

/// The module with its neighbours played by the test: the store of objects, the hub and EventBus.
final class ModuleFixture: Sendable {
  let directory: String
  let channel = ChannelContext()
  private let objects = Mutex<[String: String]>([:])
  private let published = Mutex<[BookFixture.Publication]>([])
  private let reported = Mutex<[Message]>([])
  private let arrivals: AsyncStream<Void>
  private let arrival: AsyncStream<Void>.Continuation
  /// Whether the cloud confirms what it is told.
  let confirms = Mutex(true)

  private init() throws {
    var template = Array("/tmp/edgecore-twin-XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template))
    directory = String(cString: made)
    (arrivals, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    try channel.register(.twin, group: .twin)
    try channel.register(.eventBus, group: .bus)
    try channel.register(.websocket, group: .hub)
    try channel.register(.metaManager, group: .meta)
  }

  deinit {
    for file in ["devicetwin.db", "edgecore.db"] { for companion in ["", "-wal", "-shm"] { unlink("\(directory)/\(file)\(companion)") } }
    rmdir(directory)
  }

  var socket: String { directory + "/dmi.sock" }
  var publications: [BookFixture.Publication] { published.withLock { $0 } }
  var reports: [Message] { reported.withLock { $0 } }

  /// Runs the module while `body` runs; it has to end by itself then.
  static func run(objects: [String: String] = [:], _ body: @Sendable (ModuleFixture) async throws -> Void) async throws {
    let fixture = try ModuleFixture()
    fixture.objects.withLock { $0 = objects }
    try await fixture.run(body)
  }

  func run(_ body: @Sendable (ModuleFixture) async throws -> Void) async throws {
    var configuration = DeviceTwinConfiguration()
    configuration.dmiSockPath = directory
    let module = DeviceTwin(
      configuration: configuration, nodeName: "edge-1", agentDatabase: directory + "/edgecore.db", channel: channel)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await module.run() }
      let neighbours = [Task { await self.playStore() }, Task { await self.playHub() }, Task { await self.playBus() }]
      defer { for neighbour in neighbours { neighbour.cancel() } }
      try await until("mappers are served") { access(self.socket, F_OK) == 0 }
      try await body(self)
      tasks.cancelAll()
      for try await _ in tasks {}
    }
    #expect(access(socket, F_OK) != 0)
  }

  private func playStore() async {
    for await message in channel.messages(for: .metaManager) {
      let type = message.resource.split(separator: "/").last.map(String.init) ?? ""
      let found = objects.withLock { $0.filter { $0.key.contains("/\(type)/") } }
      let members = found.map { JSONValue.Member($0.key, (try? JSONValue(json: $0.value)) ?? .null) }
      channel.respond(to: message, with: .reply(to: message, content: JSONValue.object(members).jsonBytes()))
    }
  }

  private func playHub() async {
    for await message in channel.messages(for: .websocket) {
      if message.resource == "cloud" {
        channel.respond(to: message, with: .reply(to: message, content: Array(#"{"connected":true}"#.utf8)))
        continue
      }
      reported.withLock { $0.append(message) }
      arrival.yield()
      if message.header.sync, confirms.withLock({ $0 }) {
        channel.respond(to: message, with: .reply(to: message, content: Array(#""OK""#.utf8)))
      }
    }
  }

  private func playBus() async {
    for await message in channel.messages(for: .eventBus) {
      published.withLock { $0.append(BookFixture.Publication(.init(topic: message.resource, payload: message.content))) }
      arrival.yield()
    }
  }

  /// Waits for something that follows from what arrives here, or from time.
  func until(_ what: String, _ condition: @Sendable () -> Bool) async throws {
    for _ in 0..<3000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it never came: \(what)")
    throw CancellationError()
  }

  // MARK: What neighbours say

  func mqtt(_ topic: String, _ payload: String) async throws {
    try await channel.send(
      Message(
        route: .init(source: "bus", group: "user", operation: .response, resource: topic), content: JSONValue.string(payload).jsonBytes()),
      to: .twin)
  }

  func put(_ resource: String, _ object: String) async throws {
    objects.withLock { $0[resource] = object }
    try await change(.update, resource, object)
  }

  func remove(_ resource: String) async throws {
    objects.withLock { $0[resource] = nil }
    try await change(.delete, resource, "{}")
  }

  private func change(_ operation: Message.Operation, _ resource: String, _ object: String) async throws {
    let type = resource.split(separator: "/")[1]
    let message = Message(
      route: .init(source: ModuleName.metaManager.rawValue, operation: operation, resource: resource), content: Array(object.utf8))
    try await channel.send(message, toGroup: .watch(String(type)))
  }

  static func device(_ name: String, version: Int, desired: String, protocolName: String = "virtual") -> String {
    #"""
    {"apiVersion":"devices.kubeedge.io/v1beta1","kind":"Device",
    "metadata":{"name":"\#(name)","namespace":"default","resourceVersion":"\#(version)"},
    "spec":{"deviceModelRef":{"name":"thermo"},"nodeName":"edge-1",
    "protocol":{"protocolName":"\#(protocolName)","configData":{"port":1,"baud":"9600"}},
    "properties":[{"name":"mode","desired":{"value":"\#(desired)"},"visitors":{"protocolName":"virtual","configData":{"register":4,"wet":true}}}]}}
    """#
  }

  static let model = #"""
    {"metadata":{"name":"thermo","namespace":"default"},
    "spec":{"protocol":"virtual","protocolConfigData":{"baud":"4800","parity":"even"},
    "properties":[{"name":"mode","type":"STRING","accessMode":"ReadWrite"}]}}
    """#
}
