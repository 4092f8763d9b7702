import CloudSimulator
import Core
import Curl
import EdgeHub
import HTTPServer
import Logging
import ServiceLifecycle
import Synchronization
import Testing
import YAML

@testable import ServiceBus

/// With a connection to a simulated cloud: rules in both directions.
@Suite struct RouterTests {
  private static let node = "edge-1"

  private struct Node: Sendable {
    let cloud: CloudSimulator
    let bus: TestBus
  }

  private func withNode(_ body: @escaping @Sendable (Node) async throws -> Void) async throws {
    let cloud = try await CloudSimulator.start()
    let folder = try TestBus.makeFolder()
    let bus = try TestBus(folder: folder, { _, _ in }, cloud: { _ in nil })
    defer { bus.removeFolder() }
    var configuration = EdgeHubConfiguration()
    configuration.httpServer = cloud.httpServer
    configuration.websocket.server = cloud.websocketServer
    configuration.tlsCaFile = "\(folder)/ca.crt"
    configuration.tlsCertFile = "\(folder)/node.crt"
    configuration.tlsPrivateKeyFile = "\(folder)/node.key"
    configuration.bootstrapFile = "\(folder)/bootstrap"
    configuration.token = cloud.token
    configuration.heartbeat = 1
    configuration.messageQPS = 0
    let hub = EdgeHub(configuration: configuration, nodeName: Self.node, configurationFiles: [], channel: bus.channel)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let group = ServiceGroup(services: [hub, bus.module], logger: logger)
    var failure: (any Error)?
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try? await group.run() }
      do {
        try await cloud.waitUntilConnected(Self.node)
        try await body(Node(cloud: cloud, bus: bus))
      } catch { failure = error }
      await group.triggerGracefulShutdown()
      await tasks.waitForAll()
    }
    await bus.client.shutdown()
    await cloud.shutdown()
    if let failure { throw failure }
  }

  @Test func applicationsReachTheCloud() async throws {
    try await withNode { node in
      try node.cloud.addServiceBusSource(Self.node, targetURL: TestBus.url)
      try await node.bus.summary { $0.listening }
      async let reply = node.bus.post(TestBus.request())
      let request = try await node.cloud.upload(from: Self.node, source: .serviceBus, resource: TestBus.url)
      #expect(try JSONValue(json: request.content).string.flatMap { Base64.decode($0.utf8) } == Array(TestBus.request().utf8))
      try node.cloud.answer(request, from: Self.node, "<thanks & more>")
      #expect(try await reply.body == "<thanks & more>")
      // The rule ends under its cleaned name.
      try node.cloud.removeServiceBusSource(Self.node, targetURL: TestBus.url)
      try await node.bus.summary { !$0.listening && $0.targetURLs.isEmpty }
    }
  }

  @Test func theCloudReachesApplications() async throws {
    try await ApplicationServer.with { request in
      .text(
        "\(request.method) \(request.path) \(String(decoding: request.body, as: UTF8.self))", status: request.path == "/bad" ? 500 : 200)
    } _: { application in
      try await withNode { node in
        let answer = try await node.cloud.call(
          Self.node, port: application.port, path: "/shop/", parameter: "orders/7?x=1", method: "POST", body: Array("tea".utf8))
        #expect(answer.status == 200)
        #expect(answer.text == "POST /shop/orders/7 tea")
        let bad = try await node.cloud.call(Self.node, port: application.port, path: "/bad")
        #expect(bad.status == 500)
        // Errors arrive, too.
        let nowhere = try await node.cloud.call(Self.node, resource: "nowhere", operation: "GET", content: .object([]))
        #expect(nowhere.status == 400)
        #expect(nowhere.text == "the format of resource nowhere is incorrect")
      }
    }
  }

  @Test func theCloudComesAndGoes() async throws {
    try await withNode { node in
      try node.cloud.addServiceBusSource(Self.node, targetURL: TestBus.url)
      try await node.bus.summary { $0.listening }
      // What is under way when the connection ends is told at once.
      async let reply = node.bus.post(TestBus.request())
      try await node.cloud.upload(from: Self.node, source: .serviceBus, resource: TestBus.url)
      await node.cloud.cut()
      let lost = try await reply
      #expect(lost.status == 200)
      #expect(lost.code == 400)
      #expect(lost.message?.hasPrefix("the cloud is away") == true, "\(lost.message ?? "")")
      let away = try await node.bus.post(TestBus.request())
      #expect(away.code == 400)
      #expect(away.message?.hasPrefix("the cloud is away") == true, "\(away.message ?? "")")
      try await node.cloud.restore()
      try await node.cloud.waitUntilConnected(Self.node)
      let answering = Task { await node.cloud.answerRequests { _ in "back" } }
      // The module may hear of the connection later than the cloud does.
      while try await node.bus.post(TestBus.request()).body != "back" { try await Task.sleep(for: .milliseconds(20)) }
      answering.cancel()
    }
  }

  @Test func sixtyFourApplicationsGetTheirOwnAnswers() async throws {
    try await withNode { node in
      try node.cloud.addServiceBusSource(Self.node, targetURL: TestBus.url)
      try await node.bus.summary { $0.listening }
      let answering = Task {
        await node.cloud.answerRequests { request in
          (try? JSONValue(json: request.content).string).flatMap { Base64.decode($0.utf8) }.map { String(decoding: $0, as: UTF8.self) }
        }
      }
      let begin = ContinuousClock.now
      let count = 50
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        for client in 0..<64 {
          tasks.addTask {
            for number in 0..<count {
              let text = TestBus.request(payload: "\"\(client)-\(number)\"")
              let reply = try await node.bus.post(text)
              #expect(reply.code == 200)
              #expect(reply.body == text)
            }
          }
        }
        try await tasks.waitForAll()
      }
      print("64 applications: \(Int(Double(64 * count) / (begin.duration(to: .now) / .seconds(1)))) requests/s")
      answering.cancel()
    }
  }

  @Test func manyCallsAtOnceAreAnswered() async throws {
    try await ApplicationServer.with {
      .text($0.path)
    } _: { application in
      try await withNode { node in
        try await withThrowingTaskGroup(of: Void.self) { tasks in
          for client in 0..<32 {
            tasks.addTask {
              for number in 0..<20 {
                let answer = try await node.cloud.call(Self.node, port: application.port, path: "/\(client)/\(number)", method: "POST")
                #expect(answer.text == "/\(client)/\(number)")
              }
            }
          }
          try await tasks.waitForAll()
        }
      }
    }
  }
}
