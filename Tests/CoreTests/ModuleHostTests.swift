import Core
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// Notes what happens, in order.
final class Journal: Sendable {
  private let entries = Mutex<[String]>([])
  func note(_ entry: String) { entries.withLock { $0.append(entry) } }
  var all: [String] { entries.withLock { $0 } }
}

private struct TestModule: Module {
  var name: ModuleName
  var group: ModuleGroup = "test"
  var body: @Sendable () async throws -> Void
  func run() async throws { try await body() }
}

private struct Broken: Error, CustomStringConvertible { var description: String { "broken" } }

@Suite(.timeLimit(.minutes(2))) struct ModuleHostTests {
  let registry = ModuleRegistry()
  let channel = ChannelContext()
  let journal = Journal()
  let signals = AsyncStream.makeStream(of: Int32.self)
  var logger = Logger(label: "test")

  init() { logger.logLevel = .critical }

  private func host(
    timeout: Duration = .seconds(30), restarts: Bool = true,
    backoff: Backoff = Backoff(initial: .milliseconds(1), maximum: .milliseconds(5))
  ) -> ModuleHost {
    ModuleHost(
      registry: registry, channel: channel,
      configuration: .init(shutdownTimeout: timeout, restarts: restarts, backoff: backoff), logger: logger)
  }

  private func wellBehaved(_ name: ModuleName) -> TestModule {
    TestModule(name: name) { [journal] in
      journal.note("start \(name)")
      try await gracefulShutdown()
      journal.note("stop \(name)")
    }
  }

  @Test func stopsInReverseOrderAfterASignal() async throws {
    for name in ["a", "b", "c"] as [ModuleName] { registry.add(wellBehaved(name)) }
    registry.addDisabled("d", group: "test", reason: "modules.d.enable is false")
    let running = Task { try await host().run(signals: signals.stream) }
    await expectEventually { [journal] in journal.all.count == 3 }
    #expect(channel.members(of: "test") == ["a", "b", "c"])
    #expect(registry.status(of: "a")?.state == .running)
    signals.continuation.yield(15)
    try await running.value
    #expect(Set(journal.all.prefix(3)) == ["start a", "start b", "start c"])
    #expect(journal.all.suffix(3) == ["stop c", "stop b", "stop a"])
    #expect(registry.statuses.map(\.state) == [.stopped, .stopped, .stopped, .disabled])
    #expect(registry.statuses.last?.reason == "modules.d.enable is false")
    #expect(channel.statistics().mailboxes.isEmpty)
  }

  @Test func runsWithoutAnyModuleUntilASignal() async throws {
    let running = Task { try await host().run(signals: signals.stream) }
    signals.continuation.yield(2)
    try await running.value
  }

  @Test func failedModuleIsStartedAgainAndKeepsItsMail() async throws {
    let tries = Atomic(0)
    registry.add(
      TestModule(name: "a") { [channel, journal] in
        let number = tries.add(1, ordering: .relaxed).newValue
        if number == 2 { return }  // Ending unasked is a failure, too.
        if number < 4 { throw Broken() }
        journal.note(text(try await channel.receive("a")))
        try await gracefulShutdown()
      })
    registry.add(wellBehaved("b"))
    let running = Task { try await host().run(signals: signals.stream) }
    await expectEventually { [channel] in channel.isRegistered("a") }
    try await channel.send(message("mail"), to: "a")
    await expectEventually { [journal] in journal.all.contains("mail") }
    let status = try #require(registry.status(of: "a"))
    #expect(status.state == .running)
    #expect(status.restarts == 3)
    #expect(status.lastError == "broken")
    #expect(registry.status(of: "b")?.restarts == 0)
    signals.continuation.yield(15)
    try await running.value
  }

  @Test func failureStopsTheAgentIfSoWished() async throws {
    registry.add(wellBehaved("a"))
    registry.add(TestModule(name: "b") { throw Broken() })
    let failure = await #expect(throws: ModuleFailure.self) { try await host(restarts: false).run(signals: signals.stream) }
    #expect(failure?.module == "b")
    #expect(failure?.problem == "broken")
    #expect(journal.all == ["start a", "stop a"])
    #expect(registry.status(of: "b")?.state == .failed)
  }

  @Test func moduleThatTakesTooLongIsCancelledAndOthersStillStop() async throws {
    registry.add(wellBehaved("a"))
    registry.add(
      TestModule(name: "slow") { [journal] in
        do { try await Task.sleep(for: .seconds(3600)) } catch {
          journal.note("cancelled")
          throw error
        }
      })
    let running = Task { try await host(timeout: .milliseconds(50)).run(signals: signals.stream) }
    await expectEventually { [journal] in journal.all.contains("start a") }
    signals.continuation.yield(15)
    try await running.value
    #expect(journal.all == ["start a", "cancelled", "stop a"])
    #expect(registry.status(of: "slow")?.state == .stopped)
  }

  @Test func moduleThatNeverEndsIsLeftToItself() async throws {
    let release = AsyncStream.makeStream(of: Void.self)
    registry.add(wellBehaved("a"))
    registry.add(
      TestModule(name: "stuck") {
        // Deaf to cancellation.
        await Task { for await _ in release.stream {} }.value
      })
    let running = Task { try await host(timeout: .milliseconds(50)).run(signals: signals.stream) }
    await expectEventually { [journal] in journal.all.contains("start a") }
    signals.continuation.yield(15)
    try await running.value
    #expect(journal.all.last == "stop a")
    #expect(registry.status(of: "stuck")?.state == .failed)
    release.continuation.finish()
  }

  @Test func secondSignalHurries() async throws {
    registry.add(wellBehaved("a"))
    registry.add(
      TestModule(name: "slow") { [journal] in
        try await gracefulShutdown()
        journal.note("stopping")
        do { try await Task.sleep(for: .seconds(3600)) } catch { journal.note("cancelled") }
      })
    let running = Task { try await host(timeout: .seconds(3600)).run(signals: signals.stream) }
    await expectEventually { [journal] in journal.all.contains("start a") }
    signals.continuation.yield(15)
    await expectEventually { [journal] in journal.all.contains("stopping") }
    signals.continuation.yield(15)
    try await running.value
    #expect(journal.all == ["start a", "stopping", "cancelled", "stop a"])
  }

  @Test func shutdownInterruptsTheDelayBetweenRestarts() async throws {
    registry.add(TestModule(name: "a") { throw Broken() })
    let running = Task {
      try await host(backoff: Backoff(initial: .seconds(3600), maximum: .seconds(3600))).run(signals: signals.stream)
    }
    await expectEventually { [registry] in registry.status(of: "a")?.state == .restarting }
    signals.continuation.yield(15)
    try await running.value
    #expect(registry.status(of: "a")?.state == .stopped)
  }
}
