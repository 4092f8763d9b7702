import Core
import Curl
import Glibc
import HTTPServer
import Logging
import MetaManager
import NIOPosix
import ServiceLifecycle
import Synchronization
import Testing
import YAML

@testable import TestModule

@Suite struct TestModuleTests {
  private struct Node: Sendable {
    let channel: ChannelContext
    let module: TestModule
    let client = HTTPClient()

    func port() async throws -> Int {
      let deadline = ContinuousClock.now + .seconds(60)
      while true {
        if let port = module.listeningPort { return port }
        try #require(ContinuousClock.now < deadline)
        try await Task.sleep(for: .milliseconds(10))
      }
    }

    func ask(_ method: String, _ path: String, _ body: String = "", headers: [HTTPField] = []) async throws -> (status: Int, text: String) {
      let request = HTTPRequest(
        method, "http://127.0.0.1:\(try await port())\(path)", headers: headers, body: body.isEmpty ? .none : .bytes(Array(body.utf8)))
      let response = try await client.execute(request)
      return (response.status, String(decoding: try await response.body.collect(upTo: 1 << 20), as: UTF8.self))
    }

    func next(_ module: ModuleName) async throws -> Message {
      while true {
        let message = try await channel.receive(module)
        if CloudConnection(message) == nil { return message }
      }
    }
  }

  private func withNode(
    apiPort: Int = 0, modules: [ModuleName] = [.metaManager, .twin], services: [any Service] = [], channel: ChannelContext = .init(),
    _ body: @escaping @Sendable (Node) async throws -> Void
  ) async throws {
    try channel.register(.testManager, group: .meta)
    for module in modules { try channel.register(module) }
    let node = Node(
      channel: channel,
      module: TestModule(
        nodeName: "edge-1", apiAddress: "0.0.0.0", apiPort: apiPort, channel: channel, port: 0,
        retry: Backoff(initial: .milliseconds(20), maximum: .milliseconds(100))))
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: services + [node.module], logger: logger)
    var failure: (any Error)?
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await group.run() }
      do { try await body(node) } catch { failure = error }
      await group.triggerGracefulShutdown()
      await tasks.waitForAll()
    }
    await node.client.shutdown()
    if let failure { throw failure }
  }

  @Test(arguments: [
    ("POST", "insert", "/pods", "pod"), ("PUT", "update", "/pods", "pod"), ("DELETE", "delete", "/pods", "pod"),
    ("POST", "insert", "/configmap", "configmap"), ("PUT", "update", "/configmaps", "configmap"),
    ("DELETE", "delete", "/configmap", "configmap"), ("POST", "insert", "/secret", "secret"), ("PUT", "update", "/secrets", "secret"),
    ("DELETE", "delete", "/secret", "secret"),
  ])
  func objectsGoToTheStoreAsIfTheyWereOfTheCloud(_ method: String, _ operation: String, _ path: String, _ type: String) async throws {
    try await withNode { node in
      let object =
        #"{"metadata":{"name":"one","namespace":"shop","uid":"u-1","resourceVersion":"7"},"spec":{"nodeName":"edge-1","x":1.50}}"#
      let answer = try await node.ask(method, path, object)
      #expect(answer.status == 200)
      #expect(answer.text.isEmpty)
      let message = try await node.next(.metaManager)
      #expect(message.route == .init(source: "testManager", group: "resource", operation: .init(operation), resource: "shop/\(type)/one"))
      #expect(message.header.resourceVersion == "7")
      #expect(String(decoding: message.content, as: UTF8.self) == object)
    }
  }

  @Test func whatAPodLacksIsFilledIn() async throws {
    try await withNode { node in
      #expect(try await node.ask("POST", "/pods", #"{"metadata":{"name":"one"},"spec":{"containers":[]}}"#).status == 200)
      #expect(try await node.ask("PUT", "/pods", #"{"kind":"Pod","metadata":{"name":"one","namespace":"default"}}"#).status == 200)
      #expect(try await node.ask("DELETE", "/pods", #"{"metadata":{"name":"one"}}"#).status == 200)
      let made = try JSONValue(json: try await node.next(.metaManager).content)
      let changed = try JSONValue(json: try await node.next(.metaManager).content)
      let removed = try await node.next(.metaManager)
      #expect(made["metadata"]?["namespace"] == .string("default"))
      #expect(made["spec"]?["nodeName"] == .string("edge-1"))
      let uid = try #require(made["metadata"]?["uid"]?.string)
      #expect(uid.utf8.count == 36)
      #expect(changed["metadata"]?["uid"] == .string(uid))
      #expect(removed.resource == "default/pod/one")
      #expect(try JSONValue(json: removed.content)["metadata"]?["uid"] == nil)
    }
  }

  @Test func devicesGoToTheTwin() async throws {
    try await withNode { node in
      for (method, operation) in [("POST", "insert"), ("PUT", "update"), ("DELETE", "delete")] {
        #expect(try await node.ask(method, "/devices", #"{"added_devices":[{"id":"a/b"}]}"#).status == 200)
        let message = try await node.next(.twin)
        #expect(message.route == .init(source: "edgemgr", group: "edgehub", operation: .init(operation), resource: "membership"))
        #expect(String(decoding: message.content, as: UTF8.self) == #"{"added_devices":[{"id":"a/b"}]}"#)
        #expect(message.parentID.isEmpty)
      }
    }
  }

  @Test func whatIsWrongIsToldInWords() async throws {
    try await withNode { node in
      for (method, path, body, status, words) in [
        ("POST", "/pods", "no JSON", 400, "no JSON"), ("POST", "/pods", "", 400, "no JSON"), ("POST", "/pods", "[]", 400, "no JSON object"),
        ("POST", "/pods", "{}", 400, "metadata.name is missing"),
        ("POST", "/pods", #"{"kind":"Secret","metadata":{"name":"a"}}"#, 400, "a Secret; here belongs a Pod"),
        ("PUT", "/configmap", #"{"metadata":{"name":"a/b"}}"#, 400, "slash"), ("POST", "/devices", "{", 400, "no JSON"),
        ("POST", "/devices", "[]", 400, "no JSON object"),
        ("POST", "/nodes", "{}", 404, "/nodes"), ("GET", "/", "", 404, "/"),
        ("PATCH", "/pods", "{}", 405, "allowed: GET, POST, PUT, DELETE"),
        ("GET", "/secret", "", 405, "allowed: POST, PUT, DELETE"), ("GET", "/pods", "", 503, "the node's API is off"),
      ] {
        let answer = try await node.ask(method, path, body)
        #expect(answer.status == status, "\(method) \(path) \(body): \(answer)")
        #expect(answer.text.contains(words), "\(method) \(path) \(body): \(answer)")
      }
    }
    try await withNode(modules: []) { node in
      let answer = try await node.ask("POST", "/devices", "{}")
      #expect(answer.status == 503)
      #expect(answer.text.contains("twin"))
    }
  }

  @Test func webPagesAreRefused() async throws {
    try await withNode { (node: Node) async throws -> Void in
      for header in [HTTPField("Origin", "http://evil"), HTTPField("Host", "evil.example"), HTTPField("Sec-Fetch-Site", "cross-site")] {
        #expect(try await node.ask("POST", "/pods", #"{"metadata":{"name":"a"}}"#, headers: [header]).status == 403)
      }
      #expect(try await node.ask("POST", "/devices", "{}").status == 200)
      #expect(node.channel.statistics().mailboxes.first { $0.module == .metaManager }?.depth == 0)
    }
  }

  @Test func podsAreThoseOfTheNodesAPI() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let (ports, tell) = AsyncStream<Int>.makeStream()
    let server = HTTPServer(
      address: .tcp(host: "127.0.0.1", port: 0), routes: [Route("GET", "/pods") { _ in .json(Array("{\"items\":[]}".utf8)) }], group: group,
      logger: Logger(label: "test"))
    let serving = Task { try await server.run { tell.yield($0 ?? 0) } }
    let port = try #require(await ports.first { _ in true })
    try await withNode(apiPort: port) { node in
      let answer = try await node.ask("GET", "/pods")
      #expect(answer.status == 200)
      #expect(answer.text == "{\"items\":[]}")
    }
    serving.cancel()
    _ = await serving.result
    try await withNode(apiPort: port) { (node: Node) async throws -> Void in
      #expect(try await node.ask("GET", "/pods").status == 502)
    }
    try await group.shutdownGracefully()
  }

  /// With a real store: what is put in can be read by the modules, and the cloud hears nothing of it.
  @Test func whatIsPutInIsStoredAndNotAcknowledged() async throws {
    let path = "/tmp/testmodule-\(UInt64.random(in: 0...UInt64.max)).db"
    defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
    let channel = ChannelContext()
    let store = MetaManager(path: path, nodeName: "edge-1", configuration: .init(), channel: channel)
    try await withNode(modules: [.metaManager, .websocket], services: [store], channel: channel) { node in
      let metadata = MetadataClient(channel: node.channel, source: .edged)
      let watch = try metadata.watch("configmap", "pod")
      defer { watch.end() }
      var changes = watch.makeAsyncIterator()
      #expect(try await node.ask("POST", "/configmap", #"{"metadata":{"name":"c"},"data":{"a":"1"}}"#).status == 200)
      #expect(try await node.ask("POST", "/pods", #"{"metadata":{"name":"p"},"spec":{}}"#).status == 200)
      #expect(await changes.next()?.key.resource == "default/configmap/c")
      let pod = try #require(await changes.next())
      #expect(pod.key.resource == "default/pod/p")
      #expect(pod.kind == .stored)
      let stored = try JSONValue(json: try await metadata.get(.init(namespace: "default", type: "configmap", name: "c")))
      #expect(stored["data"]?["a"] == .string("1"))
      #expect(try await node.ask("DELETE", "/pods", #"{"metadata":{"name":"p"}}"#).status == 200)
      #expect(await changes.next()?.kind == .removed)
      // One of the cloud is acknowledged, and behind those above.
      let message = Message(
        route: .init(source: "edgecontroller", group: "resource", operation: .insert, resource: "default/configmap/d"),
        content: Array(#"{"metadata":{"name":"d","namespace":"default"}}"#.utf8))
      try await node.channel.send(message, to: .metaManager)
      while true {
        let sent = try await node.channel.receive(.websocket)
        // MetaManager asks for the connection's state.
        if sent.operation == .query { continue }
        #expect(sent.operation == .response)
        #expect(sent.parentID == message.id)
        break
      }
    }
  }
}
