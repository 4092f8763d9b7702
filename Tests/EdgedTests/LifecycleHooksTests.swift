import Curl
import KubernetesAPI
import Runtime
import Synchronization
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct LifecycleHooksTests {
  private let events = RecordedEvents()
  private let client = HTTPClient()

  private var pod: Pod {
    var proxy = Container(name: "proxy")
    proxy.restartPolicy = .always
    var spec = PodSpec(containers: [Container(name: "app")])
    spec.initContainers = [proxy]
    return Pod(metadata: ObjectMeta(name: "web", namespace: "shop", uid: "uid"), spec: spec)
  }

  private func run(
    _ handler: LifecycleHandler, in name: String = "app", limit: Duration? = nil,
    command: @escaping CommandRunner = { _, _, _ in throw CancellationError() }
  ) async throws {
    let hooks = LifecycleHooks(events: events, http: client, runCommand: command)
    try await hooks.run(handler, in: Container(name: name), id: "c1", of: pod, podIPs: ["127.0.0.1"], limit: limit)
  }

  @Test func aCommandThatSucceeds() async throws {
    let log = Seen()
    try await run(LifecycleHandler(exec: ExecAction(command: ["sh", "-c", "$(A)"]))) { id, command, timeout in
      log.values.withLock { $0 = [id] + command + [timeout == nil ? "no timeout" : "timeout"] }
      return ExecResult(stdout: [], stderr: [], exitCode: 0)
    }
    #expect(log.values.withLock { $0 } == ["c1", "sh", "-c", "$(A)", "no timeout"])
  }

  private final class Seen: Sendable { let values = Mutex<[String]>([]) }

  @Test func aCommandThatFailsTellsNothingSecret() async throws {
    let error = await #expect(throws: LifecycleHookError.exited(code: 7)) {
      try await run(LifecycleHandler(exec: ExecAction(command: ["login", "secret"]))) { _, _, _ in
        ExecResult(stdout: Array("secret".utf8), stderr: [], exitCode: 7)
      }
    }
    #expect(error.map { "\($0)" } == "the command exited with code 7")
    await #expect(throws: LifecycleHookError.notRun("ExecSync: gone")) {
      try await run(LifecycleHandler(exec: ExecAction(command: ["x"]))) { _, _, _ in
        throw RuntimeError(.notFound, operation: "ExecSync", message: "gone")
      }
    }
  }

  @Test func theGracePeriodBoundsAHook() async throws {
    let log = Seen()
    await #expect(throws: LifecycleHookError.outOfTime(limit: .milliseconds(50))) {
      try await run(LifecycleHandler(exec: ExecAction(command: ["x"])), limit: .milliseconds(50)) { _, _, _ in
        do { try await Task.sleep(for: .seconds(3600)) } catch { log.values.withLock { $0.append("cancelled") } }
        throw CancellationError()
      }
    }
    #expect(log.values.withLock { $0 } == ["cancelled"])
    await #expect(throws: LifecycleHookError.outOfTime(limit: .milliseconds(50))) {
      try await run(LifecycleHandler(sleep: SleepAction(seconds: 3600)), limit: .milliseconds(50))
    }
  }

  @Test(arguments: [nil, Duration.seconds(3600)])
  func aSleepEndsQuietlyWhenTheContainerStops(limit: Duration?) async throws {
    let task = Task { try await run(LifecycleHandler(sleep: SleepAction(seconds: 3600)), limit: limit) }
    task.cancel()
    try await task.value
  }

  @Test func otherHooksEndWithTheirTask() async throws {
    let task = Task {
      try await run(LifecycleHandler(exec: ExecAction(command: ["x"]))) { _, _, _ in
        try await Task.sleep(for: .seconds(3600))
        throw RuntimeError(.unknown, operation: "ExecSync", message: "never")
      }
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func aSleepEndsByItself() async throws {
    try await run(LifecycleHandler(sleep: SleepAction(seconds: 0)))
  }

  @Test func tcpIsNoHandler() async throws {
    var handler = LifecycleHandler()
    handler.tcpSocket = TCPSocketAction(port: .int(80))
    let error = await #expect(throws: LifecycleHookError.invalidHandler) { try await run(handler) }
    #expect(error.map { "\($0)".hasPrefix("invalid handler") } == true)
  }

  @Test func anyAnswerOfAServerWillDo() async throws {
    let server = try ProbeTestServer(http: { _, connection in connection.write("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") })
    defer { server.stop() }
    try await run(LifecycleHandler(httpGet: HTTPGetAction(path: "/stop", port: .int(Int32(server.port)))))
    let head = try #require(server.requests.first).lowercased()
    #expect(server.targets == ["/stop"])
    #expect(head.contains("user-agent: kube-lifecycle/1.32\r\n") && head.contains("accept: */*\r\n"))
    #expect(events.all.isEmpty)
  }

  @Test func noAnswerIsAFailure() async throws {
    let port = try ProbeTestServer.closedPort()
    let error = await #expect(throws: LifecycleHookError.self) {
      try await run(LifecycleHandler(httpGet: HTTPGetAction(path: "/stop", port: .int(Int32(port)))))
    }
    #expect(error.map { "\($0)".contains("http://127.0.0.1:\(port)/stop") } == true)
    await #expect(throws: LifecycleHookError.noTarget("container app has no port named \"web\"")) {
      try await run(LifecycleHandler(httpGet: HTTPGetAction(port: .string("web"))))
    }
  }

  @Test(arguments: ["app", "proxy"])
  func plainServersBehindHTTPSAreAskedInPlainHTTP(name: String) async throws {
    let server = try plainServer()
    defer { server.stop() }
    let headers = [HTTPHeader(name: "Authorization", value: "Bearer secret"), HTTPHeader(name: "X-A", value: "1")]
    let action = HTTPGetAction(path: "/stop", port: .int(Int32(server.port)), scheme: "HTTPS", httpHeaders: headers)
    try await run(LifecycleHandler(httpGet: action), in: name)
    let heads = server.requests.filter { $0.hasPrefix("GET ") }
    #expect(heads.count == 1)
    #expect(heads.first?.hasPrefix("GET /stop HTTP/1.1\r\n") == true)
    #expect(heads.first?.contains("X-A: 1") == true)
    #expect(heads.first?.lowercased().contains("authorization") == false)
    let list = name == "app" ? "containers" : "initContainers"
    #expect(events.all.count == 1)
    #expect(events.all.first?.hasPrefix("Warning LifecycleHTTPFallback spec.\(list){\(name)}: ") == true)
  }

  /// Answers a TLS handshake as web servers without TLS do.
  private func plainServer() throws -> ProbeTestServer {
    try ProbeTestServer(peeking: { first, connection in
      guard first == UInt8(ascii: "G") else {
        _ = connection.read()
        connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
      }
      connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    })
  }

  @Test func otherTLSFailuresAreFailures() async throws {
    let server = try ProbeTestServer(peeking: { _, connection in _ = connection.read() })
    defer { server.stop() }
    await #expect(throws: LifecycleHookError.self) {
      try await run(LifecycleHandler(httpGet: HTTPGetAction(path: "/stop", port: .int(Int32(server.port)), scheme: "HTTPS")))
    }
    #expect(server.requests.isEmpty)
    #expect(events.all.isEmpty)
  }
}
