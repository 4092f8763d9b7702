import Curl
import Foundation
import Testing

@testable import Runtime

/// Commands in containers of a real dockerd.
@Suite(.enabled(if: DockerEngine.isAvailable, "needs root and dockerd"), .timeLimit(.minutes(5)))
struct DockerStreamTests {
  private func engine() async throws -> DockerEngine { try await DockerEngine.shared.value }

  @Test func runsCommands() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    try await engine.withPod("exec") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let result = try await runtime.execSync(id, command: ["sh", "-c", "echo out; echo err >&2; exit 5"], timeout: .seconds(60))
      #expect(result == ExecResult(stdout: Array("out\n".utf8), stderr: Array("err\n".utf8), exitCode: 5))
      // The streams end before the process does.
      let late = try await runtime.execSync(id, command: ["sh", "-c", "exec >&- 2>&-; sleep 1; exit 6"], timeout: nil)
      #expect(late.exitCode == 6)
      #expect(try await runtime.execSync(id, command: ["/no/such"], timeout: nil).exitCode == 126)
      let large = try await runtime.execSync(id, command: ["head", "-c", "\(20 << 20)", "/dev/zero"], timeout: nil)
      #expect(large.stdout.count == 16 << 20)
      #expect(large.exitCode == 0)
      let empty = await #expect(throws: RuntimeError.self) { try await runtime.execSync(id, command: [], timeout: nil) }
      #expect(empty?.code == .invalidArgument)
      try await runtime.stopContainer(id, gracePeriod: 0)
      let stopped = await #expect(throws: RuntimeError.self) { try await runtime.execSync(id, command: ["true"], timeout: nil) }
      #expect(stopped?.code == .failedPrecondition)
    }
  }

  @Test func endsCommandsThatTakeTooLong() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    try await engine.withPod("timeout") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let error = await #expect(throws: RuntimeError.self) {
        try await runtime.execSync(id, command: ["sleep", "999"], timeout: .milliseconds(500))
      }
      #expect(error?.code == .deadlineExceeded)
      // Only our own process is left once the killed one is reaped.
      var left = "999"
      for _ in 0..<100 where left.contains("999") {
        left = engine.text(try await runtime.execSync(id, command: ["ps", "-o", "args"], timeout: nil).stdout)
      }
      #expect(!left.contains("999"), "\(left)")

      let task = Task { try await runtime.execSync(id, command: ["sleep", "998"], timeout: nil) }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
  }

  private struct Collected {
    var stdout = ""
    var stderr = ""
    var exitCode: Int32?

    mutating func add(_ piece: StreamOutput) {
      switch piece {
      case .stdout(let bytes): stdout += String(decoding: bytes, as: UTF8.self)
      case .stderr(let bytes): stderr += String(decoding: bytes, as: UTF8.self)
      case .exited(let code): exitCode = code
      }
    }
  }

  private func collect(_ session: any StreamSession) async throws -> Collected {
    var collected = Collected()
    for try await piece in session.output { collected.add(piece) }
    return collected
  }

  @Test func connectsInput() async throws {
    let engine = try await engine()
    try await engine.withPod("stdin") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let session = try await engine.runtime.exec(
        id, command: ["sh", "-c", "cat; echo done >&2; exit 4"], options: StreamOptions(stdin: true))
      try await session.write(Array("one ".utf8))
      try await session.write(Array("two".utf8))
      try await session.closeInput()
      let output = try await collect(session)
      #expect(output.stdout == "one two")
      #expect(output.stderr == "done\n")
      #expect(output.exitCode == 4)
      await session.close()
      await session.close()
    }
  }

  @Test func carriesMuchDataBothWays() async throws {
    let engine = try await engine()
    try await engine.withPod("bulk") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let session = try await engine.runtime.exec(id, command: ["cat"], options: StreamOptions(stdin: true))
      let block = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      async let writing: Void = {
        for _ in 0..<64 { try await session.write(block) }
        try await session.closeInput()
      }()
      var count = 0
      var isEqual = true
      var exitCode: Int32?
      for try await piece in session.output {
        switch piece {
        case .stdout(let bytes):
          isEqual = isEqual && bytes.enumerated().allSatisfy { $1 == block[(count + $0) % block.count] }
          count += bytes.count
        case .stderr: break
        case .exited(let code): exitCode = code
        }
      }
      try await writing
      #expect(count == 64 * block.count)
      #expect(isEqual)
      #expect(exitCode == 0)
    }
  }

  @Test func givesATerminal() async throws {
    let engine = try await engine()
    try await engine.withPod("tty") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let session = try await engine.runtime.exec(id, command: ["sh"], options: StreamOptions(stdin: true, tty: true))
      try await session.resize(columns: 123, rows: 45)
      try await session.write(Array("stty size; tty; echo err >&2; exit 9\n".utf8))
      let output = try await collect(session)
      #expect(output.stdout.contains("45 123"), "\(output.stdout)")
      #expect(output.stdout.contains("/dev/pts/0"), "\(output.stdout)")
      #expect(output.stdout.contains("err\r\n"), "\(output.stdout)")
      #expect(output.stderr.isEmpty)
      #expect(output.exitCode == 9)
    }
  }

  @Test func leavesOutUnwantedStreams() async throws {
    let engine = try await engine()
    try await engine.withPod("streams") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let session = try await engine.runtime.exec(
        id, command: ["sh", "-c", "echo out; echo err >&2"], options: StreamOptions(stdout: true, stderr: false))
      let output = try await collect(session)
      #expect(output.stdout == "out\n")
      #expect(output.stderr.isEmpty)
      #expect(output.exitCode == 0)
      let error = await #expect(throws: RuntimeError.self) { try await session.write([1]) }
      #expect(error?.code == .failedPrecondition)
    }
  }

  @Test func closesASessionWhoseCommandGoesOn() async throws {
    let engine = try await engine()
    try await engine.withPod("closing") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      let session = try await engine.runtime.exec(id, command: ["sh", "-c", "echo x; sleep 1000"], options: StreamOptions(stdin: true))
      var output = session.output.makeAsyncIterator()
      #expect(try await output.next() == .stdout(Array("x\n".utf8)))
      await session.close()
      #expect(try await output.next() == nil)
      await #expect(throws: (any Error).self) { try await session.write([1]) }
    }
  }

  @Test(arguments: [false, true])
  func attachesToAContainer(tty: Bool) async throws {
    let engine = try await engine()
    try await engine.withPod("attach-\(tty)") { pod in
      let id = try await pod.start("app", ["sh", "-c", "read line; echo got $line; exit 2"]) {
        $0.stdin = true
        $0.stdinOnce = true
        $0.tty = tty
      }
      let session = try await engine.runtime.attach(id, options: StreamOptions(stdin: true, tty: tty))
      if tty { try await session.resize(columns: 80, rows: 24) }
      try await session.write(Array("input\n".utf8))
      let output = try await collect(session)
      #expect(output.stdout.contains("got input"), "\(output)")
      #expect(output.exitCode == nil)
      #expect(try await engine.runtime.containerStatus(id).exitCode == 2)
      let error = await #expect(throws: RuntimeError.self) { try await engine.runtime.attach(id, options: StreamOptions()) }
      #expect(error?.code == .failedPrecondition)
    }
  }

  // MARK: Images

  @Test func knowsImages() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    let image = try #require(try await runtime.imageStatus("busybox:1.36"))
    #expect(image.repoTags.contains(DockerEngine.image))
    #expect(image.id.hasPrefix("sha256:"))
    #expect(image.size > 0)
    #expect(image.uid.value == 0)
    #expect(try await runtime.imageStatus(DockerEngine.image)?.id == image.id)
    #expect(try await runtime.imageStatus(image.id)?.id == image.id)
    // The engine finds images by the first digits of their id; a name is something else.
    #expect(try await runtime.imageStatus(String(image.id.dropFirst(7).prefix(12))) == nil)
    #expect(try await runtime.imageStatus("no/such:image") == nil)
    let listed = try await runtime.listImages()
    #expect(listed.first { $0.id == image.id }?.repoTags.contains(DockerEngine.image) == true)
    #expect(listed.first { $0.repoTags == ["docker.io/kubeedge/pause:3.6"] }?.pinned == true)

    let usage = try #require(try await runtime.imageFsInfo().imageFilesystems.first)
    #expect(usage.fsID.mountpoint == engine.folder + "/root")
    #expect(usage.usedBytes.value >= image.size)
    #expect(usage.inodesUsed.value > 0)
  }

  @Test func removesImages() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    let created = try await engine.raw(
      "POST", "/containers/create?name=to-commit", json: #"{"Image":"busybox:1.36","User":"1234:5"}"#)
    #expect(created.status == 201)
    #expect(try await engine.raw("POST", "/commit?container=to-commit&repo=removed&tag=1").status == 201)
    #expect(try await engine.raw("POST", "/images/removed:1/tag?repo=other/removed&tag=2").status == 201)
    #expect(try await engine.raw("DELETE", "/containers/to-commit").status == 204)
    let image = try #require(try await runtime.imageStatus("removed:1"))
    #expect(image.uid.value == 1234)
    #expect(Set(image.repoTags) == ["docker.io/library/removed:1", "docker.io/other/removed:2"])
    try await runtime.removeImage(image.id)
    #expect(try await runtime.imageStatus("removed:1") == nil)
    #expect(try await runtime.imageStatus(image.id) == nil)
    try await runtime.removeImage(image.id)

    try await engine.withPod("uses-image") { pod in
      _ = try await pod.start("app", ["sleep", "1000"])
      let id = try #require(try await runtime.imageStatus(DockerEngine.image)?.id)
      let name = try await engine.raw("POST", "/images/busybox:1.36/tag?repo=kept&tag=1")
      #expect(name.status == 201)
      try await runtime.removeImage("kept:1")
      #expect(try await runtime.imageStatus(DockerEngine.image)?.id == id)
    }
  }

  @Test func reportsFailedPulls() async throws {
    let runtime = try await engine().runtime
    let error = await #expect(throws: RuntimeError.self) {
      try await runtime.pullImage(
        "127.0.0.1:1/nothing:1",
        auth: .with {
          $0.username = "u"
          $0.password = "secret-password"
        }, sandboxConfig: nil)
    }
    #expect(error?.operation == "PullImage")
    #expect(error?.message.contains("127.0.0.1:1") == true)
    #expect(error?.description.contains("secret-password") == false)
    let invalid = await #expect(throws: RuntimeError.self) { try await runtime.pullImage("", auth: nil, sandboxConfig: nil) }
    #expect(invalid?.code == .invalidArgument)
  }
}
