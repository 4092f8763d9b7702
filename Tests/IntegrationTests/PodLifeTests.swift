import FoundationEssentials
import Glibc
import KubernetesAPI
import Testing

@Suite(.enabled(if: Engine.canRun, "needs root")) struct PodLifeTests {
  @Test(arguments: Engine.Kind.allCases)
  func aPodRunsIsSeenAndGoes(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("web", "echo hello out; echo hello err >&2; " + Manifest.sleeper)
      let pod = try await agent.waitUntilReady("web")
      #expect(pod.status?.phase == .running)
      #expect(pod.status?.podIP?.isEmpty == false)
      #expect(pod.status(of: "main")?.containerID?.hasPrefix(kind.rawValue + "://") == true)

      let table = try await agent.edgectl("pods")
      #expect(table.code == 0)
      #expect(table.output.contains("web-\(agent.node)"))
      #expect(table.output.contains("1/1"))
      let described = try await agent.edgectl("describe", "pod", "web-\(agent.node)")
      #expect(described.output.contains("Running since"))
      for reason in ["Pulled", "Created", "Started"] { #expect(described.output.contains(reason)) }
      let logs = try await eventually("the log is there") {
        let logs = try await agent.edgectl("logs", "web-\(agent.node)")
        return logs.output.contains("hello out") && logs.output.contains("hello err") ? logs : nil
      }
      #expect(logs.code == 0)
      let echo = try await agent.exec("web", "echo", "from inside")
      #expect(echo.output == "from inside\n")
      let failing = try await agent.exec("web", "sh", "-c", "echo oops >&2; exit 7")
      #expect(failing.code == 7)
      #expect(failing.error == "oops\n")

      agent.remove("web.yaml")
      try await agent.waitUntilGone("web")
      #expect(try await agent.traces(ofPod: pod.uid).isEmpty)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aKilledContainerStartsAgain(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("web", Manifest.sleeper)
      try await agent.waitUntilReady("web")
      for restarts in 1...2 {
        let pid = try #require(try await agent.processes(running: "sleep 1000000").first)
        // The shell that waits for the sleep is the container's first process.
        kill(try agent.parent(of: pid), SIGKILL)
        let pod = try await agent.wait(for: "web", "was restarted \(restarts) times") {
          $0.status(of: "main")?.restartCount == Int32(restarts) && $0.isReady
        }
        #expect(pod.status(of: "main")?.lastState?.terminated?.exitCode == 137)
        #expect(pod.status(of: "main")?.state?.running != nil)
      }
      // One dead container is kept, with its log.
      _ = try await eventually("older logs are gone") {
        let logs = try await Shell.found(agent.logs, "-name", "*.log", "-printf", "%f\n").sorted()
        return logs == ["1.log", "2.log"] ? true : nil
      }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aPodThatWantsATakenHostPortIsRefused(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      let port = try Registry.freePort()
      let ports = "ports: [{containerPort: 80, hostPort: \(port)}]"
      try agent.writePod("first", Manifest.sleeper, container: ports)
      let first = try await agent.waitUntilReady("first")
      // By its name it would come first.
      try agent.writePod("another", Manifest.sleeper, container: ports)
      let refused = try await agent.wait(for: "another", "is refused") { $0.status?.phase == .failed }
      #expect(refused.status?.reason == "NodePorts")
      // Who has the port keeps it, whoever asks when the agent starts.
      try await agent.end()
      try await agent.start()
      try await agent.wait(for: "another", "is refused again") { $0.status?.phase == .failed }
      #expect(try await agent.waitUntilReady("first").status(of: "main")?.containerID == first.status(of: "main")?.containerID)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func containersOutliveTheAgent(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("web", Manifest.sleeper)
      let before = try await agent.waitUntilReady("web")
      for signal in [SIGKILL, SIGTERM] {
        try await agent.end(signal)
        try await agent.start()
        let after = try await agent.waitUntilReady("web")
        #expect(after.status(of: "main")?.containerID == before.status(of: "main")?.containerID)
        #expect(after.status(of: "main")?.state == before.status(of: "main")?.state)
        #expect(after.status(of: "main")?.restartCount == 0)
      }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aPodWhoseManifestWentWhileTheAgentWasDownIsRemoved(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("web", Manifest.sleeper)
      let pod = try await agent.waitUntilReady("web")
      try await agent.end(SIGKILL)
      agent.remove("web.yaml")
      try await agent.start()
      _ = try await eventually("nothing is left") { try await agent.traces(ofPod: pod.uid).isEmpty ? true : nil }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aChangedManifestReplacesThePod(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("web", Manifest.sleeper)
      let before = try await agent.waitUntilReady("web")
      try agent.writePod("web", "echo second; " + Manifest.sleeper)
      let after = try await agent.wait(for: "web", "was replaced") { $0.uid != before.uid && $0.isReady }
      #expect(after.status(of: "main")?.restartCount == 0)
      _ = try await eventually("the old pod left nothing") { try await agent.traces(ofPod: before.uid).isEmpty ? true : nil }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func phasesFollowTheRestartPolicy(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("good", "echo done > /dev/termination-log", spec: "restartPolicy: Never")
      try agent.writePod("bad", "exit 3", spec: "restartPolicy: Never")
      try agent.writePod("loop", "echo last words >&2; exit 4", container: "terminationMessagePolicy: FallbackToLogsOnError")
      let good = try await agent.wait(for: "good", "succeeded") { $0.status?.phase == .succeeded }
      #expect(good.status(of: "main")?.state?.terminated?.message == "done\n")
      #expect(good.status(of: "main")?.state?.terminated?.reason == "Completed")
      let bad = try await agent.wait(for: "bad", "failed") { $0.status?.phase == .failed }
      #expect(bad.status(of: "main")?.state?.terminated?.exitCode == 3)
      let loop = try await agent.wait(for: "loop", "backs off") {
        $0.status(of: "main")?.state?.waiting?.reason == "CrashLoopBackOff" && $0.status(of: "main")?.restartCount == 1
      }
      #expect(loop.status?.phase == .running)
      let last = loop.status(of: "main")?.lastState?.terminated
      #expect(last?.exitCode == 4)
      #expect(last?.message == "last words\n")
      #expect(
        loop.status(of: "main")?.state?.waiting?.message?.hasPrefix("back-off 10s restarting failed container=main pod=loop-") == true)
      #expect(try await agent.events("loop").contains { $0.reason == "BackOff" && $0.type == "Warning" })
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func memoryOverTheLimitIsOOMKilled(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "hog", "tail /dev/zero", container: "resources: {limits: {memory: 16Mi}}", spec: "restartPolicy: Never")
      let pod = try await agent.wait(for: "hog", "failed") { $0.status?.phase == .failed }
      #expect(pod.status(of: "main")?.state?.terminated?.reason == "OOMKilled")
      #expect(pod.status(of: "main")?.state?.terminated?.exitCode == 137)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func theDeadlineEndsThePod(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("late", Manifest.sleeper, spec: "activeDeadlineSeconds: 2")
      let pod = try await agent.wait(for: "late", "failed") { $0.status?.phase == .failed }
      #expect(pod.status?.reason == "DeadlineExceeded")
      #expect(pod.status?.message == "Pod was active on the node longer than the specified deadline")
    }
  }

  @Test(arguments: [SIGINT, SIGHUP, SIGTERM, SIGQUIT, SIGABRT, SIGTRAP, SIGILL])
  func everySignalEndsTheAgentInOrder(signal: Int32) async throws {
    try await Agent.with(.containerd) { agent in
      try agent.writePod("web", Manifest.sleeper)
      let before = try await agent.waitUntilReady("web")
      #expect(try await agent.end(signal) == 0)
      #expect(access(agent.socket, F_OK) != 0)
      try await agent.start()
      let after = try await agent.waitUntilReady("web")
      #expect(after.status(of: "main")?.containerID == before.status(of: "main")?.containerID)
    }
  }
}

extension Agent {
  /// Processes below the agent's cgroup whose command line is that.
  func processes(running command: String) async throws -> [pid_t] {
    var found: [pid_t] = []
    for entry in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      guard let pid = pid_t(entry), let line = text(of: "/proc/\(pid)/cmdline"),
        line.replacing("\0", with: " ").hasPrefix(command),
        let groups = text(of: "/proc/\(pid)/cgroup"), groups.contains(cgroup + "/")
      else { continue }
      found.append(pid)
    }
    return found
  }

  func parent(of pid: pid_t) throws -> pid_t {
    let stat = try #require(text(of: "/proc/\(pid)/stat"))
    let field = stat.split(separator: ")").last?.split(separator: " ").dropFirst().first
    return try #require(field.flatMap { pid_t($0) })
  }
}
