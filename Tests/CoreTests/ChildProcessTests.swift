import Core
import Glibc
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// Keeps messages for a test to look at.
struct JournalLogHandler: LogHandler {
  let journal: Journal
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.info
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  func log(event: LogEvent) { journal.note(event.message.description) }
}

private func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

@Suite(.timeLimit(.minutes(2))) struct ChildProcessTests {
  let log = Journal()
  let ready = Journal()

  private func child(
    _ script: String, grace: Duration = .seconds(30), isReadyLine: (@Sendable (String) -> Bool)? = nil
  ) -> ChildProcess {
    let logger = Logger(label: "child") { [log] _ in JournalLogHandler(journal: log) }
    return ChildProcess(
      .init(
        name: "test", executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/bin:/usr/bin", "GREETING": "hello"],
        directory: "/tmp", backoff: Backoff(initial: .milliseconds(1), maximum: .milliseconds(10)), terminationGrace: grace,
        isReadyLine: isReadyLine), logger: logger,
      onReady: { [ready] pid in ready.note("\(pid)") })
  }

  @Test func outputGoesToTheLogLineByLine() async throws {
    let child = child("echo \"$GREETING from $(pwd)\"; echo error >&2; printf 'no end'; exec sleep 60 >/dev/null 2>&1")
    let running = Task { try await child.run() }
    await expectEventually { [log] in log.all.contains("error") }
    #expect(log.all.contains("hello from /tmp"))
    let pid = try #require(child.status.pid)
    #expect(isAlive(pid))
    running.cancel()
    try await running.value
    #expect(!isAlive(pid))
    #expect(child.status.pid == nil)
    #expect(child.status.lastExit == .signal(SIGTERM))
    #expect(log.all.contains("no end"))
  }

  @Test func isStartedAgain() async throws {
    let child = child("echo run; exit 3")
    let running = Task { try await child.run() }
    await expectEventually { child.status.starts >= 3 }
    running.cancel()
    try await running.value
    #expect(child.status.lastExit == .code(3) || child.status.lastExit == .signal(SIGTERM))
    #expect(log.all.filter { $0 == "run" }.count >= 2)
  }

  @Test func stubbornChildIsKilledWithItsOwnChildren() async throws {
    let child = child("trap '' TERM; sleep 60 & echo grandchild $!; echo up; while :; do sleep 60; done", grace: .milliseconds(100))
    let running = Task { try await child.run() }
    await expectEventually { [log] in log.all.contains("up") }
    let pid = try #require(child.status.pid)
    let grandchild = try #require(log.all.first { $0.hasPrefix("grandchild ") }.flatMap { Int32($0.dropFirst(11)) })
    running.cancel()
    try await running.value
    #expect(child.status.lastExit == .signal(SIGKILL))
    #expect(!isAlive(pid))
    // The grandchild is reaped by whoever inherits it; until then it is a zombie at most.
    await expectEventually { !isAlive(grandchild) || Self.isZombie(grandchild) }
  }

  private static func isZombie(_ pid: Int32) -> Bool {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return true }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    guard fgets(&line, 512, file) != nil else { return true }
    return String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).contains(") Z ")
  }

  @Test func readinessByALineOfOutput() async throws {
    let child = child("echo starting; echo 'now listening'; exec sleep 60", isReadyLine: { $0.contains("listening") })
    let running = Task { try await child.run() }
    await expectEventually { [ready] in ready.all.count == 1 }
    #expect(child.status.isReady)
    #expect(ready.all == ["\(child.status.pid ?? 0)"])
    running.cancel()
    try await running.value
    #expect(!child.status.isReady)
  }

  @Test func gracefulShutdownEndsIt() async throws {
    let child = child("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    let group = ServiceGroup(configuration: .init(services: [child], logger: Logger(label: "test")))
    let running = Task { try await group.run() }
    await expectEventually { [log] in log.all.contains("up") }
    await group.triggerGracefulShutdown()
    // The group calls a service that returns before all are asked to a failure; this one is the only one.
    try await running.value
    #expect(child.status.lastExit == .code(0))
    #expect(log.all.contains("bye"))
  }

  @Test func missingProgramIsReportedAndTriedAgain() async throws {
    let child = ChildProcess(
      .init(name: "none", executable: "/nonexistent/program", backoff: Backoff(initial: .milliseconds(1), maximum: .milliseconds(2))),
      logger: Logger(label: "child") { [log] _ in JournalLogHandler(journal: log) })
    let running = Task { try await child.run() }
    await expectEventually { [log] in log.all.filter { $0.contains("can't start /nonexistent/program: No such file") }.count >= 2 }
    #expect(child.status.lastError == .start(executable: "/nonexistent/program", code: ENOENT))
    running.cancel()
    try await running.value
  }

  @Test func childBeginsClean() async throws {
    let child = child(
      """
      sed -n 's/^SigBlk:[^0-9a-f]*/blocked /p;s/^SigIgn:[^0-9a-f]*/ignored /p' /proc/self/status
      ls /proc/$$/fd | tr '\\n' ' '; echo
      exec sleep 60
      """)
    let running = Task { try await child.run() }
    await expectEventually { [log] in log.all.contains { $0.hasPrefix("0 1 2") } }
    #expect(log.all.contains("blocked 0000000000000000"))
    // Signals 32 and 33 are the C library's own.
    let ignored = log.all.first { $0.hasPrefix("ignored ") }.flatMap { UInt64($0.dropFirst(8), radix: 16) }
    #expect(ignored.map { $0 & 0x7FFF_FFFF } == 0)
    #expect(log.all.contains("0 1 2 "), "a descriptor leaked into the child")
    running.cancel()
    try await running.value
  }

  /// The child asks the kernel, before it runs the program, to be killed when its parent dies.
  @Test(.enabled(if: access("/usr/bin/setpriv", X_OK) == 0)) func childDiesWithItsParent() async throws {
    let child = child("exec setpriv --dump")
    let running = Task { try await child.run() }
    await expectEventually { [log] in log.all.contains { $0.hasPrefix("Parent death signal") } }
    running.cancel()
    try await running.value
    #expect(log.all.contains { $0.hasPrefix("Parent death signal: ") && $0.hasSuffix("KILL") }, "\(log.all)")
  }
}

@Suite struct BackoffTests {
  /// SplitMix64: the same numbers each time.
  struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  @Test func growsToTheMaximumAndBeginsAgain() {
    var backoff = Backoff(initial: .seconds(1), maximum: .seconds(60), jitter: 0)
    let delays = (0..<8).map { _ in backoff.next() }
    #expect(delays == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
    #expect(backoff.attempts == 8)
    backoff.reset()
    #expect(backoff.next() == .seconds(1))
  }

  @Test func jitterStaysInItsBounds() {
    var backoff = Backoff(initial: .seconds(10), maximum: .seconds(15), jitter: 0.2)
    var delays: [Duration] = []
    for _ in 0..<200 {
      backoff.reset()
      delays.append(backoff.next())
    }
    #expect(delays.allSatisfy { $0 >= .seconds(8) && $0 <= .seconds(12) })
    #expect(Set(delays).count > 1)
    #expect((0..<50).allSatisfy { _ in backoff.next() <= .seconds(15) })
    let fixed = (0..<2).map { _ in
      var backoff = Backoff(initial: .seconds(10), maximum: .seconds(60))
      var generator = Seeded(state: 7)
      return backoff.next(using: &generator)
    }
    #expect(fixed[0] == fixed[1])
  }

  @Test func manyAttemptsDoNotOverflow() {
    var backoff = Backoff(initial: .milliseconds(1), maximum: .seconds(1), jitter: 0)
    for _ in 0..<10_000 { _ = backoff.next() }
    #expect(backoff.next() == .seconds(1))
  }
}
