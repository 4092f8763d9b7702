import CloudSimulator
import Foundation
import YAML

/// What an agent in a cloud costs, and how soon the cloud knows. The cloud is simulated in this process, so that nothing of a control
/// plane shares the processors with the agent.
struct CloudBenchmark {
  private static let updates = 10_000

  let program: String
  let idleSeconds: Int

  func run(into report: inout Report) async throws {
    progress("cloud, containerd")
    let cloud = try await CloudSimulator.start()
    let result: Result<Void, any Error>
    do { result = .success(try await run(cloud, into: &report)) } catch { result = .failure(error) }
    await cloud.shutdown()
    try result.get()
  }

  private func run(_ cloud: CloudSimulator, into report: inout Report) async throws {
    try await Agent.withDirectory { directory in
      try await Engine.with(.containerd, "engine") { engine in
        try await Agent.with(program, engine, in: directory, cloud: cloud) { agent in
          try await cloud.wait(for: "Node", name: Agent.node) { $0.condition("Ready") == "True" }
          try await flood(agent, cloud, into: &report)
          // The first pod on an engine is slower than all others.
          _ = try await start(1, cloud)
          try await removeAll(cloud)
          for count in [20, 90] {
            let before = try ProcessFigures(pid: agent.process.pid)
            let time = try await start(count, cloud)
            let cpu = try ProcessFigures(pid: agent.process.pid).cpu - before.cpu
            report.add("\(count) pods of a cloud until all are Ready there", "\(time.milliseconds.text(0)) ms")
            report.note("\(count) pods of a cloud: the agent took \(cpu.milliseconds.text(0)) ms of CPU to start them")
            if count == 20 { try await reconnect(cloud, into: &report) }
            // What was touched for the start is given back within half a minute.
            try await Task.sleep(for: .seconds(40))
            try await IdleFigures.watch(agent, for: idleSeconds).add("Idle with \(count) pods of a cloud", to: &report)
            try await removeAll(cloud)
          }
          // Sandboxes go after the cloud was told that the pods are gone.
          try await engine.waitUntilEmpty()
        }
      }
    }
  }

  // MARK: Updates

  private func flood(_ agent: Agent, _ cloud: CloudSimulator, into report: inout Report) async throws {
    let updates = (1...Self.updates).map { number in
      let name = JSONValue.string("flood-\(number % 200)")
      return JSONValue.object([
        .init("kind", .string("ConfigMap")), .init("apiVersion", .string("v1")),
        .init(
          "metadata",
          .object([
            .init("name", name), .init("namespace", .string("default")), .init("uid", name),
            .init("resourceVersion", .string(String(1_000_000 + number))),
          ])),
        .init("data", .object([.init("text", .string(String(repeating: "\(number) ", count: 100)))])),
      ])
    }
    let before = try ProcessFigures(pid: agent.process.pid)
    let begin = ContinuousClock.now
    try cloud.push(updates, to: Agent.node)
    _ = try await eventually("all updates are acknowledged") {
      cloud.acknowledgedPushes(of: Agent.node) == Self.updates ? true : nil
    }
    let rate = Double(Self.updates) / (begin.duration(to: .now) / .seconds(1))
    let after = try ProcessFigures(pid: agent.process.pid)
    report.add("Updates stored and acknowledged", "\(rate.grouped) /s", bar: "≥ 2 000 /s", isMet: rate >= 2000)
    report.note("\(Self.updates) updates: resident memory \(before.resident >> 10) KiB before, \(after.resident >> 10) KiB after")
  }

  // MARK: Pods

  private func start(_ count: Int, _ cloud: CloudSimulator) async throws -> Duration {
    let begin = ContinuousClock.now
    for number in 0..<count { try cloud.apply(pod("pod-\(number)")) }
    for number in 0..<count {
      try await cloud.wait(for: "Pod", name: "pod-\(number)", within: .seconds(300)) { $0.condition("Ready") == "True" }
    }
    return begin.duration(to: .now)
  }

  private func pod(_ name: String) throws -> JSONValue {
    let command = Agent.command.map { JSONValue.string($0) }
    let container = JSONValue.object([
      .init("name", .string("main")), .init("image", .string(Engine.image)), .init("imagePullPolicy", .string("IfNotPresent")),
      .init("command", .array(command)),
    ])
    return .object([
      .init("apiVersion", .string("v1")), .init("kind", .string("Pod")),
      .init("metadata", .object([.init("name", .string(name)), .init("namespace", .string("default"))])),
      .init(
        "spec",
        .object([
          .init("nodeName", .string(Agent.node)), .init("terminationGracePeriodSeconds", .number("5")),
          .init("containers", .array([container])),
        ])),
    ])
  }

  private func removeAll(_ cloud: CloudSimulator) async throws {
    let names = cloud.list("Pod").compactMap { $0["metadata"]?["name"]?.string }
    for name in names { try cloud.delete("Pod", name: name) }
    for name in names { try await cloud.waitUntilGone("Pod", name: name, within: .seconds(120)) }
  }

  /// From the cloud's return until it knows of a container that was started anew meanwhile.
  private func reconnect(_ cloud: CloudSimulator, into report: inout Report) async throws {
    guard let pod = cloud.get("Pod", name: "pod-0"), let uid = pod["metadata"]?["uid"]?.string,
      let process = ProcessFigures.find(podUID: uid, command: Agent.command)
    else { throw Failure("pod-0 has no process") }
    await cloud.cut()
    kill(process, SIGKILL)
    _ = try await eventually("the container was started again") {
      ProcessFigures.find(podUID: uid, command: Agent.command).flatMap { $0 == process ? nil : $0 }
    }
    // Longer than it takes until tries to connect are far apart.
    try await Task.sleep(for: .seconds(60))
    let begin = ContinuousClock.now
    try await cloud.restore()
    try await cloud.wait(for: "Pod", name: "pod-0") { pod in
      let status = pod["status"]?["containerStatuses"]?.array?.first
      return status?["restartCount"]?.int == 1 && status?["ready"]?.bool == true
    }
    let seconds = begin.duration(to: .now) / .seconds(1)
    report.add("Cloud back until it knows what happened meanwhile", "\(seconds.text(1)) s", bar: "≤ 10 s", isMet: seconds <= 10)
  }
}

extension JSONValue {
  /// The state of one of the object's conditions.
  fileprivate func condition(_ type: String) -> String? {
    self["status"]?["conditions"]?.array?.first { $0["type"]?.string == type }?["status"]?.string
  }
}
