import Core
import Glibc
import HTTPServer
import KubernetesAPI
import Logging
import NIOPosix
import Runtime
import Testing
import YAML

@testable import Edged

@Suite struct NodeAPITests {
  private static func request(
    _ target: String, _ method: String = "GET", _ headers: [(String, String)] = [], isOnThisHost: Bool = true
  ) -> ServerRequest {
    ServerRequest(
      method: method, target: target, headers: headers, body: [],
      peer: .init(address: isOnThisHost ? "127.0.0.1" : "10.0.0.5", isOnThisHost: isOnThisHost))
  }

  private static func status(_ body: () throws -> Void) -> Int? {
    do { try body() } catch let error as ServerError { return error.status } catch { return 0 }
    return nil
  }

  // MARK: Access

  private static func api(enableDebuggingHandlers: Bool = true) -> NodeAPI {
    var configuration = EdgedConfiguration()
    configuration.tailoredKubeletConfig.enableDebuggingHandlers = enableDebuggingHandlers
    return NodeAPI(
      configuration: configuration, node: { nil }, metrics: { "" }, events: MultiThreadedEventLoopGroup.singleton,
      logger: Logger(label: "test"))
  }

  private static func answer(_ route: Route, isOnThisHost: Bool) async throws -> ServerResponse {
    let request = request(
      route.pattern, route.method, [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1")], isOnThisHost: isOnThisHost)
    switch route.handler {
    case .respond(let handler): return try await handler(request)
    case .takeOver(let handler):
      guard case .respond(let response) = try await handler(request) else { throw ServerError.badRequest("taken over") }
      return response
    }
  }

  @Test func othersAreOnlyToldAboutHealth() async throws {
    for route in Self.api().routes {
      let response = try await Self.answer(route, isOnThisHost: false)
      #expect(response.status == (route.pattern.hasPrefix("/healthz") ? 200 : 403), "\(route.method) \(route.pattern)")
    }
  }

  @Test func beforeTheNodeIsReadyNothingFails() async throws {
    for route in Self.api().routes {
      let response = try await Self.answer(route, isOnThisHost: true)
      let isKnown = route.pattern.hasPrefix("/healthz") || route.pattern == "/configz"
      // Bad requests are told apart first.
      #expect((isKnown ? [200] : [503, 400]).contains(response.status), "\(route.method) \(route.pattern)")
    }
  }

  @Test func debuggingCanBeSwitchedOff() async throws {
    var closed: Set<String> = []
    for route in Self.api(enableDebuggingHandlers: false).routes {
      let response = try await Self.answer(route, isOnThisHost: true)
      guard response.status == 405, case .bytes(let text) = response.body else { continue }
      #expect(String(decoding: text, as: UTF8.self) == "Debug endpoints are disabled.\n")
      closed.insert(String(route.pattern.split(separator: "/")[0]))
    }
    #expect(closed == ["containerLogs", "exec", "attach", "portForward", "run", "runningpods", "checkpoint"])
  }

  @Test func healthIsToldAsAWordOrInFull() throws {
    func text(_ response: ServerResponse) -> String {
      guard case .bytes(let bytes) = response.body else { return "" }
      return String(decoding: bytes, as: UTF8.self)
    }
    let well: [NodeHealth.Finding] = [(.ping, nil), (.log, nil), (.syncloop, nil)]
    let ill: [NodeHealth.Finding] = [(.ping, nil), (.syncloop, "stuck")]
    #expect(text(NodeHealth.response(well, isVerbose: false)) == "ok")
    #expect(text(NodeHealth.response(well, isVerbose: true)) == "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n")
    let response = NodeHealth.response(ill, isVerbose: false)
    #expect(response.status == 500)
    #expect(text(response) == "[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n")
    #expect(text(NodeHealth.response([(.syncloop, "stuck")], isVerbose: false)) == "internal server error: stuck\n")
  }

  @Test(arguments: [
    (RuntimeError.Code.notFound, 404), (.resourceExhausted, 429), (.unavailable, 500), (.unknown, 500), (.failedPrecondition, 500),
  ])
  func theEnginesErrorsHaveAStatus(code: RuntimeError.Code, status: Int) {
    let response = NodeAPI.answer(to: RuntimeError(code, operation: "Exec", message: "no"))
    #expect(response.status == status)
    #expect(response.headers.contains { $0.name == "Retry-After" } == (status == 429))
  }

  // MARK: Logs

  @Test(arguments: [
    ("tailLines=x", 400), ("tailLines=", 400), ("tailLines=-1", 422), ("tailLines=0", nil), ("tail=5", nil), ("tail=all&tailLines=3", nil),
    ("tail=x", 400), ("limitBytes=0", 422), ("limitBytes=1", nil), ("sinceSeconds=0", 422), ("sinceSeconds=-5", 422),
    ("sinceSeconds=1", nil),
    ("sinceSeconds=9223372036854775807", nil), ("sinceSeconds=9223372036854775808", 400), ("sinceTime=yesterday", 400),
    ("sinceTime=2026-03-01T12:00:00Z", nil), ("sinceTime=null", nil), ("sinceTime=2026-03-01T12:00:00%2B02:00", nil),
    ("sinceTime=2026-03-01T12:00:00Z&sinceSeconds=5", 422), ("stream=All", nil), ("stream=Stdout", 422), ("follow=maybe", nil),
    ("unknown=1", nil),
  ])
  func logParametersAreChecked(query: String, status: Int?) {
    #expect(Self.status { _ = try LogQuery(Self.request("/containerLogs/n/p/c?" + query)) } == status)
  }

  @Test func logParametersAreRead() throws {
    let query = try LogQuery(
      Self.request("/x?follow=&previous=true&timestamps=False&tail=7&tailLines=3&limitBytes=10&sinceTime=2026-03-01T12:00:00Z"))
    #expect(query.follow)
    #expect(query.previous)
    #expect(!query.timestamps)
    let now = try #require(Timestamp("2026-03-01T13:00:00Z"))
    #expect(query.options(now: now) == LogOptions(tailLines: 7, since: Timestamp("2026-03-01T12:00:00Z"), limitBytes: 10))
    let recent = try LogQuery(Self.request("/x?sinceSeconds=60")).options(now: now)
    #expect(recent.since == Timestamp("2026-03-01T12:59:00Z"))
    // No time is too far back to count.
    #expect(try LogQuery(Self.request("/x?sinceSeconds=9223372036854775807")).options(now: now).since != nil)
  }

  private static func terminated(_ id: String?) -> ContainerState {
    ContainerState(terminated: ContainerStateTerminated(exitCode: 1, containerID: id))
  }
  private static let running = ContainerState(running: ContainerStateRunning())
  private static func waiting(_ reason: String?) -> ContainerState { ContainerState(waiting: ContainerStateWaiting(reason: reason)) }

  private static let place = #"container "c" in pod "p""#
  private static let selections: [(ContainerState?, ContainerState?, Bool, String)] = [
    (running, nil, false, "now"), (running, terminated("before"), false, "now"), (running, terminated("before"), true, "before"),
    (running, nil, true, "previous terminated \(place) not found"),
    (running, terminated(nil), true, "previous terminated \(place) not found"),
    (terminated("ended"), terminated("before"), false, "ended"), (terminated(nil), terminated("before"), false, "before"),
    (terminated(nil), nil, false, "\(place) is terminated"), (terminated(""), terminated(""), false, "\(place) is terminated"),
    (waiting("CrashLoopBackOff"), terminated("before"), false, "before"),
    (waiting("CrashLoopBackOff"), terminated(nil), false, "\(place) is terminated"),
    (waiting("ErrImagePull"), nil, false, "\(place) is waiting to start: image can't be pulled"),
    (waiting("ImagePullBackOff"), nil, false, "\(place) is waiting to start: trying and failing to pull image"),
    (waiting("ContainerCreating"), nil, false, "\(place) is waiting to start: ContainerCreating"),
    (nil, nil, false, "\(place) is waiting to start - no logs yet"),
  ]

  @Test(arguments: selections.indices)
  func theRightInstanceIsRead(index: Int) throws {
    let (state, last, previous, expected) = Self.selections[index]
    var container = ContainerStatus(name: "c", image: "i")
    container.state = state
    container.lastState = last
    container.containerID = "now"
    for list in [\PodStatus.containerStatuses, \.initContainerStatuses, \.ephemeralContainerStatuses] {
      var pod = Pod(metadata: ObjectMeta(name: "p", namespace: "n", uid: "u"), spec: PodSpec(containers: []))
      var status = PodStatus()
      status[keyPath: list] = [container]
      pod.status = status
      let result: String
      do {
        result = try LogSelection.containerID("c", of: pod, previous: previous)
      } catch {
        #expect(error.status == 400)
        result = error.message
      }
      #expect(result == expected)
      let other = #expect(throws: ServerError.self) { try LogSelection.containerID("d", of: pod, previous: previous) }
      #expect(other?.message == #"container "d" in pod "p" is not available"#)
    }
  }

  @Test func onlyTheLogItselfIsRead() async throws {
    let scratch = try LogScratch()
    let line = "2026-03-01T12:00:00.000000000Z stdout F "
    let path = try scratch.write("logs/pod/main/0.log", line + "mine\n")
    let secret = try scratch.write("secret", line + "secret\n")
    let root = try #require(ContainerLog.root(of: path, scheme: "containerd"))
    #expect(root == scratch.path + "/logs")
    #expect(ContainerLog.root(of: path, scheme: "docker") == scratch.path + "/logs/pod/main")
    func read() async throws -> String {
      var bytes: [UInt8] = []
      for try await piece in try LogReader(path: path, below: root) { bytes += piece }
      return String(decoding: bytes, as: UTF8.self)
    }
    #expect(try await read() == "mine\n")
    // The log directory itself may be behind a link: who set up the node decides that.
    try scratch.move("logs", "elsewhere")
    symlink(scratch.path + "/elsewhere", scratch.path + "/logs")
    #expect(try await read() == "mine\n")

    unlink(path)
    symlink(secret, path)
    await #expect(throws: FileError.self) { try await read() }
    unlink(path)
    link(secret, path)
    await #expect(throws: FileError.self) { try await read() }
    unlink(path)
    mkfifo(path, 0o600)
    await #expect(throws: FileError.self) { try await read() }
    unlink(path)
    mkdir(path, 0o700)
    await #expect(throws: FileError.self) { try await read() }
    rmdir(path)
    // A directory on the way that is a link.
    try scratch.write("other/main/0.log", line + "others\n")
    try FileSystem.removeTree(scratch.path + "/elsewhere/pod")
    symlink(scratch.path + "/other", scratch.path + "/elsewhere/pod")
    await #expect(throws: FileError.self) { try await read() }
    #expect(throws: FileError.self) { try LogReader(path: root + "/../secret", below: root) }
    #expect(throws: FileError.self) { try LogReader(path: secret, below: root) }
  }

  // MARK: Streams

  @Test func streamsAreChosenByOnes() throws {
    let all = try RemoteCommandRequest(Self.request("/exec?input=1&output=1&error=1&command=sh&command=-c&command=a+b"))
    #expect(all.options == StreamOptions(stdin: true))
    #expect(all.command == ["sh", "-c", "a b"])
    let terminal = try RemoteCommandRequest(Self.request("/exec?output=1&error=1&tty=1"))
    #expect(!terminal.options.stderr)
    #expect(terminal.options.tty)
    for query in ["", "input=true", "tty=1&error=1"] {
      #expect(Self.status { _ = try RemoteCommandRequest(Self.request("/exec?" + query)) } == 400, "\(query)")
    }
  }

  @Test(arguments: [
    ("SPDY/3.1", ["v4.channel.k8s.io"], "v4.channel.k8s.io"),
    ("spdy/3.1", ["v9, v3.channel.k8s.io", "v4.channel.k8s.io"], "v3.channel.k8s.io"),
    ("SPDY/3.1", [], ""), ("SPDY/3.1", ["v9"], "403"), ("h2c", ["v4.channel.k8s.io"], "400"),
  ])
  func versionsAreAgreedUpon(upgrade: String, versions: [String], expected: String) {
    let headers = [("Upgrade", upgrade)] + versions.map { ("x-stream-protocol-version", $0) }
    let upgrade = StreamUpgrade(request: Self.request("/exec", "POST", headers))
    switch upgrade.agreement(spdy: RemoteCommandVersion.allCases.map(\.rawValue), webSocket: WebSocketProtocol.remoteCommand) {
    case .spdy(let version): #expect(version == expected)
    case .webSocket: Issue.record("nobody asked for a websocket")
    case .refused(let response):
      #expect(String(response.status) == expected)
      #expect(response.headers.count == (response.status == 403 ? 4 : 0))
    }
  }

  @Test(
    arguments: [
      (["v5.channel.k8s.io, v4.channel.k8s.io"], "13", "v5.channel.k8s.io"),
      (["x", "base64.channel.k8s.io"], "13", "base64.channel.k8s.io"),
      ([], "13", ""), (["x"], "13", "403"), (["v4.channel.k8s.io"], "8", "400"),
    ] as [([String], String, String)])
  func protocolsOfWebSocketsAreAgreedUpon(protocols: [String], version: String, expected: String) {
    let headers =
      [("Upgrade", "WebSocket"), ("Sec-WebSocket-Version", version), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
      + protocols.map { ("Sec-WebSocket-Protocol", $0) }
    let upgrade = StreamUpgrade(request: Self.request("/exec", "GET", headers))
    switch upgrade.agreement(spdy: [], webSocket: WebSocketProtocol.remoteCommand) {
    case .webSocket(let version, let key):
      #expect(version.name == expected)
      // The example of RFC 6455, section 1.3.
      #expect(
        String(decoding: version.switching(key: key), as: UTF8.self).contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
    case .spdy: Issue.record("nobody asked for SPDY")
    case .refused(let response): #expect(String(response.status) == expected)
    }
  }

  @Test func messagesNameTheirStream() {
    let binary = WebSocketProtocol(name: "v5.channel.k8s.io")
    #expect(binary.encode([1, 2], stream: 3) == WebSocketMessage(isText: false, bytes: [3, 1, 2]))
    #expect(binary.decode(.init(isText: false, bytes: [255, 0])) ?? (0, []) == (255, [0]))
    #expect(binary.decode(.init(isText: false, bytes: [])) == nil)
    let base64 = WebSocketProtocol(name: "base64.channel.k8s.io")
    let encoded = base64.encode(Array("hello".utf8), stream: 1)
    #expect(encoded == WebSocketMessage(isText: true, bytes: Array("1aGVsbG8=".utf8)))
    #expect(base64.decode(encoded) ?? (0, []) == (1, Array("hello".utf8)))
    #expect(base64.decode(.init(isText: true, bytes: Array("/aGVsbG8=".utf8))) == nil)
    #expect(base64.decode(base64.encode([7], stream: 199)) ?? (0, []) == (199, [7]))
    #expect(base64.decode(.init(isText: true, bytes: Array("0?".utf8))) == nil)
  }

  @Test(
    arguments: [
      ("port=80", [80], nil), ("port=80,443&port=8080", [80, 443, 8080], nil), ("", nil, 400), ("port=", nil, 400), ("port=0", nil, 400),
      ("port=65536", nil, 400), ("port=80,", nil, 400), (Array(repeating: "port=80", count: 101).joined(separator: "&"), nil, 400),
    ] as [(String, [Int32]?, Int?)])
  func portsOfWebSocketClientsAreRead(query: String, ports: [Int32]?, status: Int?) throws {
    let request = Self.request("/portForward/n/p?" + query, "GET", [("Upgrade", "websocket")])
    #expect(Self.status { _ = try NodePortForward.ports(request) } == status)
    if let ports { #expect(try NodePortForward.ports(request) == ports) }
    #expect(try NodePortForward.ports(Self.request("/portForward/n/p?" + query, "GET", [("Upgrade", "SPDY/3.1")])) == [])
  }

  @Test func theEndIsToldInEachVersion() throws {
    func text(_ result: Result<Int32, any Error>, _ version: RemoteCommandVersion) -> String? {
      RemoteCommandEnd(result).text(asStatus: version == .v4).map { String(decoding: $0, as: UTF8.self) }
    }
    #expect(text(.success(0), .v4) == #"{"metadata":{},"status":"Success"}"#)
    #expect(text(.success(0), .v1) == nil)
    let failed = try JSONValue(json: Array((text(.success(7), .v4) ?? "").utf8))
    #expect(failed["reason"]?.string == "NonZeroExitCode")
    #expect(failed["details"]?["causes"]?.array?.first?["message"]?.string == "7")
    #expect(failed["details"]?["causes"]?.array?.first?["reason"]?.string == "ExitCode")
    #expect(text(.success(7), .v2) == "command terminated with non-zero exit code: 7")
    let error = RuntimeError(.unknown, operation: "Exec", message: "no such file")
    #expect(text(.failure(error), .v3) == "Internal error occurred: error executing command in container: Exec: no such file")
    #expect(try JSONValue(json: Array((text(.failure(error), .v4) ?? "").utf8))["code"]?.int == 500)
  }

  @Test func sizesOfTerminalsComeInPieces() {
    let text = Array(#"{"Width":80,"Height":24}{"Width":100000,"Height":-1} {"odd":1}{"Width":3,"#.utf8)
    for size in 1...text.count {
      var sizes = TerminalSizes()
      var read: [[UInt16]] = []
      for start in stride(from: 0, to: text.count, by: size) {
        read += sizes.add(Array(text[start..<min(start + size, text.count)])).map { [$0.columns, $0.rows] }
      }
      #expect(read == [[80, 24], [65535, 0]])
    }
  }

  @Test func aFullQueueMakesItsBringerWait() async {
    let queue = ByteQueue()
    let piece = [UInt8](repeating: 1, count: ByteQueue.limit / 2 + 1)
    await queue.push(piece)
    let (told, tell) = AsyncStream<Void>.makeStream()
    let bringer = Task {
      await queue.push(piece)
      tell.finish()
      await queue.push([2])
      queue.finish()
    }
    #expect(await queue.next() == piece)
    for await _ in told {}
    #expect(await queue.next() == piece)
    #expect(await queue.next() == [2])
    #expect(await queue.next() == nil)
    await bringer.value
    // Whoever waits is let go when the queue is closed or the task is cancelled.
    let other = ByteQueue()
    let taker = Task { await other.next() }
    taker.cancel()
    #expect(await taker.value == nil)
    let closer = Task { await other.push([UInt8](repeating: 1, count: ByteQueue.limit + 1)) }
    other.close()
    await closer.value
    #expect(await other.next() == nil)
  }

  // MARK: Streams that are passed on

  /// A server that says nothing and never ends.
  private struct SilentServer: ByteStream {
    let end: AsyncStream<Void>.Continuation

    func next() async throws -> [UInt8]? {
      try await Task.sleep(for: .seconds(3600))
      return nil
    }
    func write(_ bytes: [UInt8]) async throws {}
    func closeWrite() async throws { end.finish() }
  }

  @Test func aStreamOnWhichNothingMovesEnds() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var sockets: [Int32] = [0, 0]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0)
    try await StreamConnection.with(socket: sockets[0], on: group) { client in
      let (_, end) = AsyncStream<Void>.makeStream()
      let idle = IdleClock(timeout: .milliseconds(50))
      await StreamSplice(client: client, server: SilentServer(end: end), idle: idle, endsWithClient: true).run()
    }
    close(sockets[1])
    try await group.shutdownGracefully()
  }

  @Test func aStreamEndsWithItsClientIfThatIsGoneThen() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    for endsWithClient in [true, false] {
      var sockets: [Int32] = [0, 0]
      try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0)
      let peer = sockets[1]
      try await StreamConnection.with(socket: sockets[0], on: group) { client in
        let (ended, end) = AsyncStream<Void>.makeStream()
        let server = SilentServer(end: end)
        let splice = StreamSplice(
          client: client, server: server, idle: IdleClock(timeout: .zero), endsWithClient: endsWithClient, farewell: .zero)
        let running = Task { await splice.run() }
        shutdown(peer, Int32(SHUT_WR))
        // The server is told in either case.
        for await _ in ended {}
        if !endsWithClient { running.cancel() }
        await running.value
      }
      close(peer)
    }
    try await group.shutdownGracefully()
  }
}
