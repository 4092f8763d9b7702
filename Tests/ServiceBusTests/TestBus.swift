import Core
import Curl
import Glibc
import LocalAPI
import Logging
import ServiceLifecycle
import Synchronization
import Testing
import YAML

@testable import ServiceBus

struct TestFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// A node with nothing but its ServiceBus; a test plays the connection to the cloud.
final class TestBus: Sendable {
  static let url = "http://cloud.example/orders"

  let channel = ChannelContext()
  let folder: String
  let module: ServiceBus
  let client = HTTPClient()
  /// What went to the cloud.
  let sent = Mutex<[Message]>([])
  private let answers = Mutex<[String: AsyncStream<Message>.Continuation]>([:])
  private let cloud: @Sendable (Message) async -> Message?

  init(
    folder: String? = nil, hasHub: Bool = true, _ adjust: (inout ServiceBusConfiguration, inout BusLimits) -> Void,
    cloud: @escaping @Sendable (Message) async -> Message?
  ) throws {
    self.folder = try folder ?? Self.makeFolder()
    self.cloud = cloud
    var configuration = ServiceBusConfiguration()
    configuration.enable = true
    configuration.port = 0
    var limits = BusLimits()
    limits.retry = Backoff(initial: .milliseconds(20), maximum: .milliseconds(100))
    adjust(&configuration, &limits)
    module = ServiceBus(
      configuration: configuration, nodeName: "Edge-1", database: "\(self.folder)/edgecore.db", channel: channel, limits: limits)
    try channel.register(.serviceBus, group: .bus)
    if hasHub { try channel.register(.websocket, group: .hub) }
  }

  static func makeFolder() throws -> String {
    var template = Array("/tmp/servicebus-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("can't make a folder") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func removeFolder() {
    guard let directory = opendir(folder) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      unlink("\(folder)/\(name)")
    }
    rmdir(folder)
  }

  /// Runs the module while `body` runs, and stops it gracefully.
  func run(_ body: @escaping @Sendable (TestBus) async throws -> Void) async throws {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [module], logger: logger)
    var failure: (any Error)?
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await group.run() }
      tasks.addTask { await self.play() }
      do { try await body(self) } catch { failure = error }
      await group.triggerGracefulShutdown()
      await tasks.next()
      tasks.cancelAll()
    }
    await client.shutdown()
    if let failure { throw failure }
  }

  private func play() async {
    await withDiscardingTaskGroup { tasks in
      for await message in channel.messages(for: .websocket) {
        sent.withLock { $0.append(message) }
        if message.parentID.isEmpty {
          tasks.addTask {
            if let reply = await self.cloud(message) { self.channel.respond(to: message, with: reply) }
          }
        } else {
          answers.withLock { $0[message.parentID] }?.yield(message)
          channel.respond(to: message, with: .reply(to: message))
        }
      }
      tasks.cancelAll()
    }
  }

  // MARK: The cloud's side

  func tell(_ operation: Message.Operation, _ resource: String, source: String = "router_servicebus") async throws {
    try await channel.send(
      Message(route: .init(source: source, group: "user", operation: operation, resource: resource)), to: .serviceBus)
  }

  /// Makes a rule, and waits until it counts.
  func allow(_ url: String = TestBus.url) async throws {
    try await tell(.start, url)
    try await summary { $0.targetURLs.contains(url) && $0.listening }
  }

  struct Answer {
    var status: Int64
    var header: JSONValue
    var body: String
    var message: Message
  }

  func call(
    _ resource: String, _ operation: Message.Operation = "GET", _ content: JSONValue = .object([]), source: String = "router_servicebus"
  ) async throws -> Answer {
    try await call(
      Message(route: .init(source: source, group: "user", operation: operation, resource: resource), content: content.jsonBytes()))
  }

  func call(_ message: Message) async throws -> Answer {
    let (stream, continuation) = AsyncStream<Message>.makeStream()
    answers.withLock { $0[message.id] = continuation }
    defer { answers.withLock { $0[message.id] = nil } }
    try await channel.send(message, to: .serviceBus)
    let answer = await withTaskGroup(of: Message?.self) { tasks in
      tasks.addTask { await stream.first { _ in true } }
      tasks.addTask {
        try? await Task.sleep(for: .seconds(60))
        return nil
      }
      defer { tasks.cancelAll() }
      return await tasks.next() ?? nil
    }
    guard let answer else { throw TestFailure("no answer to \(message.operation) \(message.resource)") }
    let content = try JSONValue(json: answer.content)
    guard let status = content["status_code"]?.int, let text = content["body"]?.string, let body = Base64.decode(text.utf8),
      let header = content["header"]
    else { throw TestFailure("no HTTP answer: \(String(decoding: answer.content, as: UTF8.self))") }
    return Answer(status: status, header: header, body: String(decoding: body, as: UTF8.self), message: answer)
  }

  // MARK: An application's side

  struct Reply: Equatable {
    var status: Int
    var code: Int64?
    var message: String?
    var body: String?
    var text: String
  }

  func port() async throws -> Int {
    try await summary { $0.listening }
    return try #require(module.status.port)
  }

  func post(
    _ body: String, method: String = "POST", path: String = "/", headers: [HTTPField] = [], adjust: (inout HTTPRequest) -> Void = { _ in }
  ) async throws -> Reply {
    try await post(Array(body.utf8), method: method, path: path, headers: headers, adjust: adjust)
  }

  func post(
    _ body: [UInt8], method: String = "POST", path: String = "/", headers: [HTTPField] = [], adjust: (inout HTTPRequest) -> Void = { _ in }
  ) async throws -> Reply {
    var request = HTTPRequest(method, "http://127.0.0.1:\(try await port())\(path)", headers: headers, body: .bytes(body))
    request.timeout = .seconds(60)
    adjust(&request)
    let response = try await client.execute(request)
    let bytes = try await response.body.collect(upTo: 16 << 20)
    let answer = try? JSONValue(json: bytes)
    return Reply(
      status: response.status, code: answer?["code"]?.int, message: answer?["msg"]?.string, body: answer?["body"]?.string,
      text: String(decoding: bytes, as: UTF8.self))
  }

  static func request(_ url: String = TestBus.url, payload: String = "{\"id\":1}") -> String {
    "{\"method\":\"POST\",\"targetURL\":\"\(url)\",\"payload\":\(payload)}"
  }

  /// Sends bytes as they are, and reads until the other side closes.
  func raw(_ text: String) async throws -> String {
    let connection = try await client.connect(host: "127.0.0.1", port: try await port())
    try await connection.write(Array(text.utf8))
    var bytes: [UInt8] = []
    do {
      while let piece = try await connection.read() { bytes += piece }
    } catch {}
    await connection.close()
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Status

  @discardableResult
  func summary(where fits: (ServiceBusSummary) -> Bool) async throws -> ServiceBusSummary {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let query = Message(route: .init(source: "test", operation: .query, resource: "servicebus"))
      let summary: ServiceBusSummary = try await channel.request(query, to: .serviceBus, timeout: .seconds(20)).decodeContent()
      if fits(summary) { return summary }
      guard ContinuousClock.now < deadline else { throw TestFailure("the status stayed \(summary)") }
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}

/// A node whose cloud answers each request with the request's own text.
func withBus(
  hasHub: Bool = true, _ adjust: (inout ServiceBusConfiguration, inout BusLimits) -> Void = { _, _ in },
  cloud: @escaping @Sendable (Message) async -> Message? = { echo($0) }, _ body: @escaping @Sendable (TestBus) async throws -> Void
) async throws {
  let bus = try TestBus(hasHub: hasHub, adjust, cloud: cloud)
  defer { bus.removeFolder() }
  try await bus.run(body)
}

/// What a rule's target makes of it that answers with what it gets.
func echo(_ request: Message) -> Message {
  Message.reply(to: request, content: request.content)
}
