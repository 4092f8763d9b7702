import CloudSimulator
import Curl
import Foundation
import YAML

/// How many requests of applications the agent carries to a cloud and back. The applications and the cloud are in this process, and share
/// the processors with the agent.
struct ServiceBusBenchmark {
  private static let clients = 64
  private static let requests = 20_000
  private static let url = "http://shop.example/orders"
  private static let body = Array(#"{"method":"POST","targetURL":"\#(url)","payload":{"tea":2}}"#.utf8)

  let program: String

  func run(into report: inout Report) async throws {
    progress("servicebus")
    let cloud = try await CloudSimulator.start()
    let directory = "/tmp/edgecore-bench-\(getpid())-servicebus"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let result: Result<Void, any Error>
    do { result = .success(try await run(cloud, directory, into: &report)) } catch { result = .failure(error) }
    await cloud.shutdown()
    if case .failure = result {
      progress("--- the end of the agent's log\n\((try? String(contentsOfFile: directory + "/log", encoding: .utf8))?.suffix(3000) ?? "")")
    }
    try? FileManager.default.removeItem(atPath: directory)
    try result.get()
  }

  private func run(_ cloud: CloudSimulator, _ directory: String, into report: inout Report) async throws {
    let port = try Self.freePort()
    let configuration = """
      apiVersion: edgecore.config.kubeedge.io/v1alpha2
      kind: EdgeCore
      apiSocket: \(directory)/api.sock
      database: {dataSource: \(directory)/edgecore.db}
      logging: {level: warning}
      modules:
        edgeHub:
          httpServer: \(cloud.httpServer)
          token: \(cloud.token)
          messageQPS: 0
          tlsCaFile: \(directory)/ca.crt
          tlsCertFile: \(directory)/server.crt
          tlsPrivateKeyFile: \(directory)/server.key
          bootstrapFile: \(directory)/bootstrap.conf
          websocket: {server: "\(cloud.websocketServer)"}
        edged: {enable: false, hostnameOverride: \(Agent.node)}
        eventBus: {enable: false}
        deviceTwin: {enable: false}
        serviceBus: {enable: true, port: \(port)}
      """
    try configuration.write(toFile: directory + "/edgecore.yaml", atomically: true, encoding: .utf8)
    let process = try ChildProgram(program, ["--config", directory + "/edgecore.yaml"], output: directory + "/log")
    let client = HTTPClient()
    let answering = Task { await cloud.answerRequests { _ in "thanks" } }
    let result: Result<Void, any Error>
    do { result = .success(try await measure(cloud, process, client, port, into: &report)) } catch { result = .failure(error) }
    answering.cancel()
    await client.shutdown()
    await process.stop()
    try result.get()
  }

  private func measure(
    _ cloud: CloudSimulator, _ process: ChildProgram, _ client: HTTPClient, _ port: Int, into report: inout Report
  ) async throws {
    try await cloud.waitUntilConnected(Agent.node)
    try cloud.addServiceBusSource(Agent.node, targetURL: Self.url)
    _ = try await eventually("the listener answers") { try? await Self.ask(client, port) }
    let before = try ProcessFigures(pid: process.pid)
    let begin = ContinuousClock.now
    let times = try await withThrowingTaskGroup(of: [Double].self) { tasks in
      for _ in 0..<Self.clients {
        tasks.addTask {
          var times: [Double] = []
          for _ in 0..<Self.requests / Self.clients {
            let begin = ContinuousClock.now
            try await Self.ask(client, port)
            times.append(begin.duration(to: .now).milliseconds)
          }
          return times
        }
      }
      return try await tasks.reduce(into: []) { $0 += $1 }
    }
    let rate = Double(times.count) / (begin.duration(to: .now) / .seconds(1))
    let after = try ProcessFigures(pid: process.pid)
    report.add(
      "Requests of \(Self.clients) applications to the cloud and back", "\(rate.grouped) /s", bar: "≥ 1 000 /s", isMet: rate >= 1000)
    let cpu = (after.cpu - before.cpu).milliseconds * 1000 / Double(times.count)
    report.note(
      "servicebus: median \((times.median ?? 0).text(1)) ms, 99 % below \((times.percentile(0.99) ?? 0).text(1)) ms, \(cpu.text(0)) µs of CPU a request; "
        + "resident memory \(before.resident >> 10) KiB before, \(after.resident >> 10) KiB after")
  }

  /// - Throws: unless the cloud's answer comes back.
  private static func ask(_ client: HTTPClient, _ port: Int) async throws {
    var request = HTTPRequest("POST", "http://127.0.0.1:\(port)/", body: .bytes(body))
    request.timeout = .seconds(30)
    let response = try await client.execute(request)
    let answer = try JSONValue(json: try await response.body.collect(upTo: 1 << 20))
    guard response.status == 200, answer["code"]?.int == 200, answer["body"]?.string == "thanks" else {
      throw Failure("the listener answered \(response.status) \(answer["msg"]?.string ?? "")")
    }
  }

  private static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else { throw Failure("no port is free") }
    return Int(UInt16(bigEndian: address.sin_port))
  }
}
