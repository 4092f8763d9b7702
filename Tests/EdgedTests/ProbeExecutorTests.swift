import Curl
import KubernetesAPI
import Runtime
import Synchronization
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct ProbeExecutorTests {
  private func job(_ probe: Probe, ports: [ContainerPort] = [], podIPs: [String] = ["127.0.0.1"], env: [EnvVar] = []) -> ProbeJob {
    var container = Container(name: "app")
    container.ports = ports
    container.env = env
    return ProbeJob(probe: probe, container: container, podName: "shop/web", containerID: "c1", podIPs: podIPs)
  }

  private func attempt(_ job: ProbeJob, run: @escaping CommandRunner = { _, _, _ in throw CancellationError() }) async -> ProbeOutcome {
    let client = HTTPClient()
    let outcome = await ProbeExecutor(http: client, runCommand: run).attempt(job)
    await client.shutdown()
    return outcome
  }

  private func get(
    _ path: String?, _ server: ProbeTestServer, host: String? = nil, headers: [HTTPHeader]? = nil, timeout: Int32 = 30
  ) async -> ProbeOutcome {
    var probe = Probe(
      httpGet: HTTPGetAction(path: path, port: .int(Int32(server.port)), host: host, scheme: "HTTP", httpHeaders: headers))
    probe.timeoutSeconds = timeout
    return await attempt(job(probe))
  }

  // MARK: HTTP

  @Test(arguments: [
    ("200 OK", ProbeOutcome.success()),
    ("204 No Content", .success()),
    ("302 Found", .warning("Probe terminated redirects, Response body: hi")),
    ("399 Odd", .warning("Probe terminated redirects, Response body: hi")),
    ("400 Bad Request", .failure("HTTP probe failed with statuscode: 400")),
    ("503 Busy", .failure("HTTP probe failed with statuscode: 503")),
  ])
  func statuses(status: String, expected: ProbeOutcome) async throws {
    let server = try ProbeTestServer(http: { _, connection in
      let body = status.hasPrefix("204") ? "" : "Content-Length: 2\r\n\r\nhi"
      connection.write("HTTP/1.1 \(status)\r\n" + (body.isEmpty ? "\r\n" : body))
    })
    defer { server.stop() }
    #expect(await get("/health", server) == expected)
    #expect(server.targets == ["/health"])
  }

  @Test func headersAndHostAreThoseOfKubelet() async throws {
    let server = try ProbeTestServer(http: { _, connection in connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") })
    defer { server.stop() }
    #expect(await get(nil, server) == .success())
    let given = [HTTPHeader(name: "user-agent", value: "mine"), HTTPHeader(name: "Accept", value: ""), HTTPHeader(name: "X-A", value: "1")]
    #expect(await get("a b?c=d", server, headers: given + [HTTPHeader(name: "Host", value: "shop.example")]) == .success())
    let heads = server.requests.map { $0.split(separator: "\r\n").map(String.init) }
    try #require(heads.count == 2)
    #expect(heads[0][0] == "GET / HTTP/1.1")
    let fields = heads[0].dropFirst().map { $0.lowercased() }
    #expect(fields.contains("user-agent: kube-probe/1.32"))
    #expect(fields.contains("accept: */*"))
    #expect(fields.contains("host: 127.0.0.1:\(server.port)"))
    #expect(heads[1][0] == "GET /a%20b?c=d HTTP/1.1")
    let others = heads[1].dropFirst().map { $0.lowercased() }
    #expect(others.contains("user-agent: mine") && others.contains("x-a: 1") && others.contains("host: shop.example"))
    #expect(!others.contains { $0.hasPrefix("accept:") })
    #expect(others.count { $0.hasPrefix("host:") } == 1)
  }

  @Test(arguments: ["/end", "end", "//127.0.0.1:PORT/end", "http://127.0.0.1:PORT/end"])
  func redirectsWithinTheHostAreFollowed(location: String) async throws {
    let server = try redirecting { location.replacing("PORT", with: String($0)) }
    defer { server.stop() }
    #expect(await get("/start", server) == .failure("HTTP probe failed with statuscode: 418"))
    #expect(server.targets == ["/start", "/end"])
  }

  @Test(arguments: ["http://localhost:PORT/end", "//localhost:PORT/end"])
  func redirectsToOtherHostsAreNot(location: String) async throws {
    let server = try redirecting { location.replacing("PORT", with: String($0)) }
    defer { server.stop() }
    #expect(await get("/start", server) == .warning("Probe terminated redirects, Response body: moved"))
    #expect(server.targets == ["/start"])
  }

  private func redirecting(_ location: @escaping @Sendable (Int) -> String) throws -> ProbeTestServer {
    try ProbeTestServer(http: { target, connection in
      if target == "/end" { return _ = connection.write("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n") }
      connection.write("HTTP/1.1 302 Found\r\nLocation: \(location(connection.localPort))\r\nContent-Length: 5\r\n\r\nmoved")
    })
  }

  @Test func endlessRedirectsFail() async throws {
    let server = try ProbeTestServer(http: { target, connection in
      connection.write("HTTP/1.1 301 Moved\r\nLocation: \(target)x\r\nContent-Length: 0\r\n\r\n")
    })
    defer { server.stop() }
    let outcome = await get("/", server)
    #expect(outcome.verdict == .failure)
    #expect(outcome.output.hasSuffix("stopped after 10 redirects"))
    #expect(server.targets.count == 10)
  }

  @Test func aLongBodyIsReadInPartOnly() async throws {
    let server = try ProbeTestServer(http: { _, connection in
      connection.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
      // Until the prober hangs up.
      while connection.write([UInt8](repeating: 0x61, count: 4096)) {}
    })
    defer { server.stop() }
    #expect(await get("/", server) == .success())
  }

  @Test(arguments: ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"])
  func whoDoesNotFinishInTimeFails(beginning: String) async throws {
    let server = try ProbeTestServer(http: { _, connection in
      connection.write(beginning)
      connection.waitForEnd()
    })
    defer { server.stop() }
    let outcome = await get("/?token=secret", server, timeout: 1)
    #expect(outcome.verdict == .failure)
    #expect(outcome.output.contains("http://127.0.0.1:\(server.port)/"))
    #expect(!outcome.output.contains("secret"))
  }

  @Test func nobodyListens() async throws {
    let port = try ProbeTestServer.closedPort()
    let http = await attempt(job(Probe(httpGet: HTTPGetAction(path: "/", port: .int(Int32(port))))))
    #expect(http.verdict == .failure)
    let tcp = await attempt(job(Probe(tcpSocket: TCPSocketAction(port: .int(Int32(port))))))
    #expect(tcp.verdict == .failure)
    #expect(tcp.output.hasPrefix("dial tcp 127.0.0.1:\(port): "))
    let grpc = await attempt(job(Probe(grpc: GRPCAction(port: Int32(port)))))
    #expect(grpc.verdict == .failure)
  }

  // MARK: TCP and addresses

  @Test func whoAcceptsIsWell() async throws {
    let server = try ProbeTestServer { $0.waitForEnd() }
    defer { server.stop() }
    let number = Int32(server.port)
    for port in [IntOrString.int(number), .string("web"), .string(String(number))] {
      let job = job(Probe(tcpSocket: TCPSocketAction(port: port)), ports: [ContainerPort(containerPort: number, name: "web")])
      #expect(await attempt(job) == .success())
    }
    let other = job(Probe(tcpSocket: TCPSocketAction(port: .int(number), host: "localhost")), podIPs: ["192.0.2.1"])
    #expect(await attempt(other) == .success())
  }

  @Test(arguments: [
    (Probe(tcpSocket: TCPSocketAction(port: .string("admin"))), "container app has no port named \"admin\""),
    (Probe(httpGet: HTTPGetAction(port: .int(0))), "invalid port number 0, allowed are 1 to 65535"),
    (Probe(), "the probe of container app in pod shop/web has none of exec, httpGet, tcpSocket and grpc"),
  ])
  func probesThatCanNotBeMade(probe: Probe, message: String) async {
    #expect(await attempt(job(probe)) == .unknown(message))
  }

  @Test func aPodWithoutAddress() async {
    for probe in [
      Probe(tcpSocket: TCPSocketAction(port: .int(1))), Probe(httpGet: HTTPGetAction(port: .int(1))), Probe(grpc: GRPCAction(port: 1)),
    ] {
      #expect(await attempt(job(probe, podIPs: [])) == .unknown("the pod has no address yet"))
    }
  }

  @Test(arguments: [
    (HTTPGetAction(path: "x", port: .int(80)), "http://10.0.0.1:80/x"),
    (HTTPGetAction(path: "/x", port: .int(80), host: "fd00::1", scheme: "HTTPS"), "https://[fd00::1]:80/x"),
    (HTTPGetAction(port: .int(8080), host: "example.com"), "http://example.com:8080/"),
  ])
  func urls(action: HTTPGetAction, url: String) throws {
    #expect(try HTTPTarget(action, container: Container(name: "app"), podIPs: ["10.0.0.1"]).url.absoluteString == url)
  }

  // MARK: Exec

  struct Command: Sendable, CustomTestStringConvertible {
    var result: Result<ExecResult, RuntimeError>
    var expected: ProbeOutcome
    var testDescription: String { "\(expected.verdict) \(expected.output.prefix(20))" }
  }

  @Test(arguments: [
    Command(result: .success(ExecResult(stdout: Array("ok\n".utf8), stderr: [], exitCode: 0)), expected: .success("ok\n")),
    Command(
      result: .success(ExecResult(stdout: Array("a".utf8), stderr: Array("b".utf8), exitCode: 3)), expected: .failure("ab")),
    Command(
      result: .success(
        ExecResult(stdout: [UInt8](repeating: 0x61, count: 10_000), stderr: [UInt8](repeating: 0x62, count: 10_000), exitCode: 1)),
      expected: .failure(String(repeating: "a", count: 10_000) + String(repeating: "b", count: 240))),
    Command(
      result: .failure(RuntimeError(.deadlineExceeded, operation: "ExecSync", message: "late")),
      expected: .failure("command timed out after 2 s")),
    Command(
      result: .failure(RuntimeError(.notFound, operation: "ExecSync", message: "no such container")),
      expected: .unknown("ExecSync: no such container")),
  ])
  func commands(_ row: Command) async {
    var probe = Probe(exec: ExecAction(command: ["cat", "$(DIR)/health", "$(NONE)", "$$(DIR)", "$(FIELD)$"]))
    probe.timeoutSeconds = 2
    var field = EnvVar(name: "FIELD")
    field.valueFrom = EnvVarSource(fieldRef: ObjectFieldSelector(fieldPath: "metadata.name"))
    let job = job(probe, env: [EnvVar(name: "DIR", value: "/tmp"), field])
    let outcome = await attempt(job) { id, command, timeout in
      #expect(id == "c1" && timeout == .seconds(2))
      #expect(command == ["cat", "/tmp/health", "$(NONE)", "$(DIR)", "$"])
      return try row.result.get()
    }
    #expect(outcome == row.expected)
  }

  @Test func anEngineThatDoesNotAnswerIsATimeOut() async {
    let outcome = await attempt(job(Probe(exec: ExecAction(command: ["true"])))) { _, _, _ in
      try await Task.sleep(for: .seconds(3600))
      return ExecResult(stdout: [], stderr: [], exitCode: 0)
    }
    #expect(outcome == .failure("command timed out after 1 s"))
  }
}
