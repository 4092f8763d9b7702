import Foundation
import Runtime

/// How long pods take to start, compared to the bare engine calls.
///
/// Both start pods in turns on an engine each, so that the agent doesn't see, and take down, the bare pods, and so that both find
/// the machine alike. The time ends with the engine's event of the last container's start.
struct PodStartBenchmark {
  let engine: Engine.Kind
  let program: String

  /// Times are from the beginning: what the engine has written down of the last pod to start.
  private struct Round {
    var total: Duration
    /// Milliseconds.
    var sandboxCreated: Double
    var containerCreated: Double
  }

  func run(into report: inout Report) async throws {
    progress("pod start, \(engine.rawValue)")
    try await Agent.withDirectory { directory in
      try await Engine.with(engine, "floor") { floor in
        try await Engine.with(engine, "engine") { engine in
          try await StartedEvents.with(floor.runtime) { floorEvents in
            try await StartedEvents.with(engine.runtime) { events in
              try await Agent.with(program, engine, in: directory) { agent in
                // The first pod on an engine is slower than all others.
                _ = try await bare(1, floor, floorEvents)
                _ = try await withAgent(1, agent, engine, events)
                for (count, rounds, bar) in [(1, 10, 1.10), (20, 3, 1.15)] {
                  var floors: [Round] = []
                  var agents: [Round] = []
                  for _ in 0..<rounds {
                    floors.append(try await bare(count, floor, floorEvents))
                    agents.append(try await withAgent(count, agent, engine, events))
                  }
                  add(count, floors, agents, bar: bar, into: &report)
                }
              }
            }
          }
        }
      }
    }
  }

  private func add(_ count: Int, _ floors: [Round], _ agents: [Round], bar: Double, into report: inout Report) {
    let floor = floors.map(\.total.milliseconds).median ?? 0
    let agent = agents.map(\.total.milliseconds).median ?? 0
    let ratio = agent / floor
    let pods = count == 1 ? "1 pod" : "\(count) pods at once"
    report.add(
      "Start of \(pods), \(engine.rawValue): agent / engine calls alone",
      "\(agent.text(1)) ms / \(floor.text(1)) ms = \(ratio.text(3))", bar: "≤ \(bar.text(2))", isMet: ratio <= bar)
    for (name, rounds) in [("agent", agents), ("engine calls alone", floors)] {
      let totals = rounds.map(\.total.milliseconds).sorted().map { $0.text(0) }.joined(separator: " ")
      report.note(
        """
        \(engine.rawValue), \(pods), \(name): sandbox created after \((rounds.map(\.sandboxCreated).median ?? 0).text(1)) ms, \
        container after \((rounds.map(\.containerCreated).median ?? 0).text(1)) ms; all rounds: \(totals) ms
        """)
    }
  }

  // MARK: A round

  private func bare(_ count: Int, _ engine: Engine, _ events: StartedEvents) async throws -> Round {
    let pods = try (0..<count).map { try BarePod("bare-\($0)", on: engine) }
    try await settle()
    events.reset()
    let (clock, begin) = (wallClock(), ContinuousClock.now)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for pod in pods { tasks.addTask { try await pod.start() } }
      try await tasks.waitForAll()
    }
    try await events.wait(for: 2 * count)
    let round = try await round(count, engine, events, clock, begin)
    try await BarePod.removeAll(on: engine)
    try await engine.waitUntilEmpty()
    return round
  }

  private func withAgent(_ count: Int, _ agent: Agent, _ engine: Engine, _ events: StartedEvents) async throws -> Round {
    let names = (0..<count).map { "pod-\($0)" }
    try agent.write(names)
    try await settle()
    events.reset()
    let (clock, begin) = (wallClock(), ContinuousClock.now)
    try agent.show(names)
    try await events.wait(for: 2 * count)
    let round = try await round(count, engine, events, clock, begin)
    try await agent.waitUntilRunning(count)
    try await agent.removeAll()
    try await engine.waitUntilEmpty()
    return round
  }

  /// What the engine still does after the last round's pods are gone is not to be measured.
  private func settle() async throws { try await Task.sleep(for: .milliseconds(500)) }

  private func round(
    _ count: Int, _ engine: Engine, _ events: StartedEvents, _ clock: Int64, _ begin: ContinuousClock.Instant
  ) async throws -> Round {
    let times = events.times
    let containers = try await engine.runtime.listContainers(nil).filter { times[$0.id] != nil }
    guard containers.count == count else { throw Failure("\(containers.count) containers started, not \(count)") }
    guard let last = containers.max(by: { (times[$0.id] ?? begin) < (times[$1.id] ?? begin) }), let end = times[last.id] else {
      throw Failure("no container started")
    }
    let sandbox = try await engine.runtime.podSandboxStatus(last.podSandboxID)
    let container = try await engine.runtime.containerStatus(last.id)
    return Round(
      total: begin.duration(to: end), sandboxCreated: Double(sandbox.createdAt - clock) / 1e6,
      containerCreated: Double(container.createdAt - clock) / 1e6)
  }
}
