import Curl
import Foundation
import GRPC
import Glibc
import Runtime
import Testing

@Suite("CRI with a real containerd", .serialized, .enabled(if: CRIEngine.isAvailable, "needs root and containerd"), .timeLimit(.minutes(5)))
struct CRIRuntimeTests {
  @Test func theEngineTellsWhatItIs() async throws {
    let engine = try await CRIEngine.shared.value
    let version = try await engine.runtime.version()
    #expect(version.runtimeName == "containerd")
    #expect(!version.runtimeVersion.isEmpty)
    #expect(try await engine.runtime.version() == version)
    let conditions = try await engine.runtime.status().conditions
    #expect(conditions.first { $0.type == "RuntimeReady" }?.status == true)
    #expect(conditions.first { $0.type == "NetworkReady" }?.status == true)
    #expect(try await engine.runtime.cgroupDriver() == .cgroupfs)
    #expect(try await engine.runtime.imageFsInfo().imageFilesystems.first?.fsID.mountpoint.isEmpty == false)
    #expect(try await GRPCChannel(.unixSocket(path: engine.socketPath), http: engine.http).health(timeout: .seconds(10)) == .serving)
  }

  @Test func aPodLivesAndItsEventsArrive() async throws {
    let engine = try await CRIEngine.shared.value
    let runtime = engine.runtime
    var events = runtime.events().makeAsyncIterator()
    #expect(try await events.next() == .connected)

    let config = engine.sandboxConfig("life")
    let sandbox = try await runtime.runPodSandbox(config, runtimeHandler: "")
    #expect(try await events.next() == .started(containerID: sandbox))
    let sandboxStatus = try await runtime.podSandboxStatus(sandbox)
    #expect(sandboxStatus.state == .sandboxReady)
    #expect(sandboxStatus.network.ip.hasPrefix("10."))
    #expect(sandboxStatus.metadata == config.metadata)

    let command = ["sh", "-c", "trap 'exit 7' TERM; touch /ready; while :; do sleep 0.1; done"]
    let container = try await runtime.createContainer(
      engine.containerConfig(command), inSandbox: sandbox, sandboxConfig: config)
    #expect(try await runtime.containerStatus(container).state == .containerCreated)
    try await runtime.startContainer(container)
    #expect(try await events.next() == .started(containerID: container))
    #expect(try await runtime.containerStatus(container).state == .containerRunning)

    var filter = CRIContainerFilter()
    filter.podSandboxID = sandbox
    #expect(try await runtime.listContainers(filter).map(\.id) == [container])
    var sandboxFilter = CRIPodSandboxFilter()
    sandboxFilter.labelSelector = [RuntimeLabel.podName: "life"]
    #expect(try await runtime.listPodSandboxes(sandboxFilter).map(\.id) == [sandbox])
    #expect(try await runtime.listPodSandboxes(nil).contains { $0.id == sandbox })

    var resources = CRILinuxContainerResources()
    resources.cpuShares = 300
    try await runtime.updateContainerResources(container, resources)
    try await runtime.reopenContainerLog(container)

    // The command must have set its trap; the end of this exec is no event.
    let wait = ["sh", "-c", "while [ ! -e /ready ]; do sleep 0.05; done"]
    #expect(try await runtime.execSync(container, command: wait, timeout: .seconds(60)).exitCode == 0)
    try await runtime.stopContainer(container, gracePeriod: 30)
    #expect(try await events.next() == .exited(containerID: container, exitCode: 7))
    let ended = try await runtime.containerStatus(container)
    #expect(ended.state == .containerExited)
    #expect(ended.exitCode == 7)

    try await runtime.removeContainer(container)
    #expect(try await events.next() == .removed(containerID: container))
    try await runtime.stopPodSandbox(sandbox)
    guard case .exited(sandbox, _) = try await events.next() else {
      Issue.record("the sandbox's end must be an event")
      return
    }
    try await runtime.removePodSandbox(sandbox)
    #expect(try await events.next() == .removed(containerID: sandbox))

    // What is gone may be stopped and removed again.
    try await runtime.stopContainer(container, gracePeriod: 1)
    try await runtime.removeContainer(container)
    try await runtime.stopPodSandbox(sandbox)
    try await runtime.removePodSandbox(sandbox)
    for attempt in [
      { _ = try await runtime.containerStatus(container) }, { _ = try await runtime.podSandboxStatus(sandbox) },
      { try await runtime.startContainer(container) },
    ] as [@Sendable () async throws -> Void] {
      let error = await #expect(throws: RuntimeError.self) { try await attempt() }
      #expect(error?.code == .notFound)
    }
  }

  @Test func execSyncReturnsOutputAndCode() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("execsync") { id in
      let result = try await engine.runtime.execSync(
        id, command: ["sh", "-c", "echo out; echo err >&2; exit 3"], timeout: .seconds(60))
      #expect(result == ExecResult(stdout: Array("out\n".utf8), stderr: Array("err\n".utf8), exitCode: 3))
      let large = try await engine.runtime.execSync(
        id, command: ["sh", "-c", "head -c 3000000 /dev/zero"], timeout: nil)
      #expect(large.stdout.count == 3_000_000)
      let error = await #expect(throws: RuntimeError.self) {
        try await engine.runtime.execSync(id, command: ["sleep", "60"], timeout: .milliseconds(300))
      }
      #expect(error?.code == .deadlineExceeded)
      await #expect(throws: RuntimeError.self) {
        try await engine.runtime.execSync(id, command: ["/no/such/command"], timeout: .seconds(60))
      }
    }
  }

  @Test func cancellingACallEndsIt() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("cancel") { id in
      let call = Task { try await engine.runtime.execSync(id, command: ["sleep", "600"], timeout: nil) }
      // A call that overtakes it shows that the engine is not blocked, whenever the cancellation comes.
      _ = try await engine.runtime.containerStatus(id)
      call.cancel()
      await #expect(throws: CancellationError.self) { try await call.value }
    }
  }

  private func collect(_ session: any StreamSession) async throws -> (stdout: [UInt8], stderr: [UInt8], code: Int32?) {
    var result: (stdout: [UInt8], stderr: [UInt8], code: Int32?) = ([], [], nil)
    for try await piece in session.output {
      switch piece {
      case .stdout(let bytes): result.stdout += bytes
      case .stderr(let bytes): result.stderr += bytes
      case .exited(let code): result.code = code
      }
    }
    return result
  }

  @Test func execStreamsInputAndOutput() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("exec") { id in
      let session = try await engine.runtime.exec(
        id, command: ["sh", "-c", "cat; echo done >&2; exit 4"], options: StreamOptions(stdin: true))
      let input = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
      async let writing: Void = {
        try await session.write(input)
        try await session.closeInput()
      }()
      let result = try await collect(session)
      try await writing
      #expect(result.stdout == input)
      #expect(result.stderr == Array("done\n".utf8))
      #expect(result.code == 4)
      await session.close()

      let short = try await engine.runtime.exec(id, command: ["true"], options: StreamOptions())
      let end = try await collect(short)
      #expect(end.code == 0)
      #expect(end.stdout.isEmpty)

      let missing = try await engine.runtime.exec(id, command: ["/no/such/command"], options: StreamOptions())
      let error = await #expect(throws: RuntimeError.self) { try await collect(missing) }
      #expect(error?.message.contains("no such file") == true)
    }
  }

  @Test func closingASessionEndsItsOutput() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("close") { id in
      let session = try await engine.runtime.exec(
        id, command: ["sh", "-c", "echo here; exec sleep 600"], options: StreamOptions(stdin: true))
      var output = session.output.makeAsyncIterator()
      #expect(try await output.next() == .stdout(Array("here\n".utf8)))
      await session.close()
      await session.close()
      #expect(try await output.next() == nil)
      await #expect(throws: RuntimeError.self) { try await session.write([1]) }
    }
  }

  @Test func aTerminalHasTheSizeThatWasAskedFor() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("tty") { id in
      let session = try await engine.runtime.exec(id, command: ["sh"], options: StreamOptions(stdin: true, tty: true))
      try await session.resize(columns: 101, rows: 41)
      let script = "while [ \"$(stty size)\" != '41 101' ]; do sleep 0.05; done; echo re''sized; exit 5\n"
      try await session.write(Array(script.utf8))
      let result = try await collect(session)
      #expect(String(decoding: result.stdout, as: UTF8.self).contains("resized"))
      #expect(result.stderr.isEmpty)
      #expect(result.code == 5)
    }
  }

  @Test func attachReachesTheFirstProcess() async throws {
    let engine = try await CRIEngine.shared.value
    let command = ["sh", "-c", "while read line; do echo \"got $line\"; [ $line = end ] && exit 0; done"]
    try await engine.withContainer("attach", command, stdin: true) { id in
      let session = try await engine.runtime.attach(id, options: StreamOptions(stdin: true))
      var output = session.output.makeAsyncIterator()
      try await session.write(Array("hello\n".utf8))
      #expect(try await output.next() == .stdout(Array("got hello\n".utf8)))
      try await session.write(Array("end\n".utf8))
      #expect(try await output.next() == .stdout(Array("got end\n".utf8)))
      // An attached container tells no exit code.
      #expect(try await output.next() == nil)
    }
  }

  @Test func statsAreThere() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("stats") { id in
      let stats = try await engine.runtime.containerStats(id)
      #expect(stats.attributes.id == id)
      #expect(stats.memory.usageBytes.value > 0)
      #expect(stats.cpu.timestamp > 0)
      var filter = CRIContainerStatsFilter()
      filter.id = id
      #expect(try await engine.runtime.listContainerStats(filter).map(\.attributes.id) == [id])
      #expect(try await engine.runtime.listContainerStats(nil).contains { $0.attributes.id == id })
    }
  }

  @Test func images() async throws {
    let engine = try await CRIEngine.shared.value
    let image = try #require(try await engine.runtime.imageStatus(CRIEngine.image))
    #expect(image.repoTags == [CRIEngine.image])
    #expect(image.size > 0)
    #expect(try await engine.runtime.imageStatus(image.id)?.id == image.id)
    #expect(try await engine.runtime.imageStatus("docker.io/library/nothing:1") == nil)
    #expect(try await engine.runtime.listImages().contains { $0.id == image.id })
    try await engine.runtime.removeImage("docker.io/library/nothing:1")
    let error = await #expect(throws: RuntimeError.self) {
      try await engine.runtime.pullImage("127.0.0.1:1/nothing:1", auth: nil, sandboxConfig: nil)
    }
    #expect(error?.operation == "PullImage")
    #expect(error?.message.hasPrefix("rpc error") == false)
  }

  @Test func manyCallsAtOnce() async throws {
    let engine = try await CRIEngine.shared.value
    try await engine.withContainer("many") { id in
      try await withThrowingTaskGroup(of: Int32.self) { group in
        for number in 0..<20 {
          group.addTask {
            try await engine.runtime.execSync(id, command: ["sh", "-c", "exit \(number)"], timeout: .seconds(120)).exitCode
          }
        }
        var codes: Set<Int32> = []
        for try await code in group { codes.insert(code) }
        #expect(codes == Set(0..<20))
      }
    }
  }

  @Test func cancellingTheReaderEndsTheSubscription() async throws {
    let engine = try await CRIEngine.shared.value
    let events = engine.runtime.events()
    let (connected, announce) = AsyncStream.makeStream(of: Void.self)
    let reader = Task {
      for try await event in events where event == .connected { announce.yield() }
    }
    for await _ in connected { break }
    reader.cancel()
    // Ends without an error: nobody wants more.
    try await reader.value
  }

  @Test func aKilledEngineEndsTheEvents() async throws {
    let engine = try await CRIEngine.start()
    var events = engine.runtime.events().makeAsyncIterator()
    #expect(try await events.next() == .connected)
    // Something for the clean-up: a pod with a rule in the packet filter.
    var config = engine.sandboxConfig("left")
    config.portMappings = [
      .with {
        $0.containerPort = 80; $0.hostPort = 47_831
      }
    ]
    _ = try await engine.runtime.runPodSandbox(config, runtimeHandler: "")
    try engine.kill()
    let error = await #expect(throws: RuntimeError.self) {
      while try await events.next() != nil {}
    }
    #expect(error?.code == .unavailable)
    let refused = await #expect(throws: RuntimeError.self) { try await engine.runtime.status() }
    #expect(refused?.code == .unavailable)

    // The same client reaches the next engine on that socket.
    try await engine.restart()
    let discovery = RuntimeDiscovery(
      endpoint: engine.socketPath, http: engine.http, factory: EngineFactory(http: engine.http))
    let runtime = try await discovery.waitForEngine { _ in }
    #expect(try await runtime.listPodSandboxes(nil).isEmpty)
    var newEvents = engine.runtime.events().makeAsyncIterator()
    #expect(try await newEvents.next() == .connected)
    try await engine.stop()
    #expect(access(engine.folder, F_OK) != 0)
  }

  // MARK: Discovery

  @Test func theEngineIsFound() async throws {
    let engine = try await CRIEngine.shared.value
    let discovery = RuntimeDiscovery(
      endpoint: "unix://" + engine.socketPath, http: engine.http, factory: EngineFactory(http: engine.http))
    let runtime = try await discovery.waitForEngine { _ in }
    #expect(runtime.scheme == "containerd")
    #expect(runtime.endpoint == engine.socketPath)
  }
}
