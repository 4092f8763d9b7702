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
    let figures = try await IdleFigures.watch(agent, for: seconds)
    let hasBar = count == 20
    figures.add("Idle with \(count) pods", to: &report, bars: hasBar ? (cpu: 60, resident: 25, anonymous: 8) : nil)
    report.note("idle with \(count) pods: \(figures.threads) threads, watched for \(seconds) s")
  }
}

/// What an agent cost while it was watched.
struct IdleFigures {
  /// Milliseconds a minute.
  var cpu: Double
  /// MiB.
  var resident: Double
  var anonymous: Double
  var threads: Int

  static func watch(_ agent: Agent, for seconds: Int) async throws -> IdleFigures {
    let before = try ProcessFigures(pid: agent.process.pid)
    let begin = ContinuousClock.now
    try await Task.sleep(for: .seconds(seconds))
    let after = try ProcessFigures(pid: agent.process.pid)
    let minutes = begin.duration(to: .now) / .seconds(60)
    return IdleFigures(
      cpu: (after.cpu - before.cpu).milliseconds / minutes, resident: Double(after.resident) / Double(1 << 20),
      anonymous: Double(after.anonymous) / Double(1 << 20), threads: after.threads)
  }

  /// Adds a row for each figure.
  func add(_ subject: String, to report: inout Report, bars: (cpu: Double, resident: Double, anonymous: Double)? = nil) {
    func add(_ what: String, _ value: Double, _ digits: Int, _ unit: String, _ bar: Double?) {
      report.add(
        "\(subject): \(what)", "\(value.text(digits)) \(unit)", bar: bar.map { "≤ \($0.text(0)) \(unit)" } ?? "",
        isMet: bar.map { value <= $0 })
    }
    add("CPU", cpu, 0, "ms/min", bars?.cpu)
    add("resident", resident, 1, "MB", bars?.resident)
    add("anonymous", anonymous, 1, "MB", bars?.anonymous)
  }
}
