import Foundation
import KubernetesAPI
import Runtime

/// How soon the end of a container is answered with a new one. The first restart has no back-off, so that each pod serves once.
struct ExitBenchmark {
  let engine: Engine.Kind
  let program: String
  var count = 10

  func run(into report: inout Report) async throws {
    progress("exit of a container, \(engine.rawValue)")
    let times = try await Agent.withDirectory { directory in
      try await Engine.with(engine, "engine") { engine in
        try await StartedEvents.with(engine.runtime) { events in
          try await Agent.with(program, engine, in: directory) { agent in
            let names = (0..<count).map { "pod-\($0)" }
            try agent.write(names)
            try agent.show(names)
            try await agent.waitUntilRunning(count)
            var times: [Double] = []
            for pod in try await agent.pods() {
              try await Task.sleep(for: .milliseconds(500))
              times.append(try await restartTime(of: pod, engine, events))
            }
            return times
          }
        }
      }
    }
    let median = times.median ?? 0
    report.add(
      "Killed container until its successor is created, \(engine.rawValue)", "\(median.text(1)) ms", bar: "≤ 50 ms", isMet: median <= 50)
    report.note("\(engine.rawValue), all restarts: \(times.sorted().map { $0.text(0) }.joined(separator: " ")) ms")
  }

  /// Milliseconds.
  private func restartTime(of pod: Pod, _ engine: Engine, _ events: StartedEvents) async throws -> Double {
    guard let pid = ProcessFigures.find(podUID: pod.uid, command: Agent.command) else {
      throw Failure("found no process of the pod \(pod.fullName)")
    }
    events.reset()
    let clock = wallClock()
    kill(pid, SIGKILL)
    try await events.wait(for: 1)
    guard let id = events.times.keys.first else { throw Failure("nothing started") }
    let status = try await engine.runtime.containerStatus(id)
    guard status.labels[RuntimeLabel.podUID] == pod.uid else { throw Failure("another pod's container started") }
    return Double(status.createdAt - clock) / 1e6
  }
}
