import Foundation

/// What an agent costs while nothing happens.
struct IdleBenchmark {
  let program: String
  let seconds: Int

  func run(into report: inout Report) async throws {
    progress("idle agent, containerd")
    try await Agent.withDirectory { directory in
      try await Engine.with(.containerd, "engine") { engine in
        for count in [0, 20, 100] {
          try await Agent.with(program, engine, in: directory) { agent in
            let names = (0..<count).map { "pod-\($0)" }
            try agent.write(names)
            // Not more at once than an engine on a small machine gets done in time.
            for first in stride(from: 0, to: count, by: 20) {
              try agent.show(Array(names[first..<min(count, first + 20)]))
              try await agent.waitUntilRunning(min(count, first + 20))
            }
            try await Task.sleep(for: .seconds(5))
            try await watch(agent, count, into: &report)
            try await agent.removeAll()
          }
          try await engine.waitUntilEmpty()
        }
      }
    }
  }

  private func watch(_ agent: Agent, _ count: Int, into report: inout Report) async throws {
    let before = try ProcessFigures(pid: agent.process.pid)
    let begin = ContinuousClock.now
    try await Task.sleep(for: .seconds(seconds))
    let after = try ProcessFigures(pid: agent.process.pid)
    let minutes = begin.duration(to: .now) / .seconds(60)
    let cpu = (after.cpu - before.cpu).milliseconds / minutes
    let resident = Double(after.resident) / Double(1 << 20)
    let anonymous = Double(after.anonymous) / Double(1 << 20)
    let hasBar = count == 20
    report.add(
      "Idle with \(count) pods: CPU", "\(cpu.text(0)) ms/min", bar: hasBar ? "≤ 60 ms/min" : "", isMet: hasBar ? cpu <= 60 : nil)
    report.add(
      "Idle with \(count) pods: resident", "\(resident.text(1)) MB", bar: hasBar ? "≤ 25 MB" : "", isMet: hasBar ? resident <= 25 : nil)
    report.add(
      "Idle with \(count) pods: anonymous", "\(anonymous.text(1)) MB", bar: hasBar ? "≤ 8 MB" : "", isMet: hasBar ? anonymous <= 8 : nil)
    report.note("idle with \(count) pods: \(after.threads) threads, watched for \(seconds) s")
  }
}
