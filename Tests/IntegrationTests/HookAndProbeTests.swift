import FoundationEssentials
import Glibc
import KubernetesAPI
import Testing

/// Hooks, the order of starts and ends, and what probes do.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct HookAndProbeTests {
  /// A folder of the node that containers write to as `/h`.
  private static let mount = "volumeMounts: [{name: h, mountPath: /h}]"

  private static func volume(_ agent: Agent) -> String {
    "volumes: [{name: h, hostPath: {path: \(agent.directory)/h, type: DirectoryOrCreate}}]"
  }

  private static func told(_ agent: Agent) -> [String] { (text(of: agent.directory + "/h/told") ?? "").trimmingLines() }

  @Test(arguments: Engine.Kind.allCases)
  func hooksRunAtBothEnds(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "web", "trap 'echo term >> /h/told; exit 0' TERM; echo main >> /h/told; sleep 1000000 & wait",
        container: """
          \(Self.mount)
          lifecycle:
            postStart: {exec: {command: [sh, -c, "until [ -s /h/told ]; do usleep 10000; done; echo post >> /h/told"]}}
            preStop: {exec: {command: [sh, -c, "echo pre >> /h/told; sleep 1; echo prepared >> /h/told"]}}
          """, spec: Self.volume(agent))
      try await agent.waitUntilReady("web")
      #expect(Self.told(agent) == ["main", "post"])
      agent.remove("web.yaml")
      try await agent.waitUntilGone("web")
      #expect(Self.told(agent) == ["main", "post", "pre", "prepared", "term"])
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aFailingPostStartHookRestartsTheContainer(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "web", Manifest.sleeper,
        container: """
          \(Self.mount)
          lifecycle: {postStart: {exec: {command: [sh, -c, "[ -f /h/again ] || { touch /h/again; exit 3; }"]}}}
          """, spec: Self.volume(agent))
      let pod = try await agent.wait(for: "web", "is ready after a restart") { $0.isReady && $0.status(of: "main")?.restartCount == 1 }
      #expect(pod.status(of: "main")?.lastState?.terminated != nil)
      let event = try await agent.events("web").first { $0.reason == "FailedPostStartHook" }
      #expect(event?.type == "Warning")
      #expect(event?.message?.contains("exited with code 3") == true)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aContainerThatIgnoresTheSignalIsKilledAfterItsGrace(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "deaf", "trap 'asked=1' TERM; echo main >> /h/told; while :; do usleep 100000; [ -z \"$asked\" ] || echo tick >> /h/told; done",
        container: Self.mount, spec: Self.volume(agent))
      let pod = try await agent.waitUntilReady("deaf")
      _ = try await eventually("it runs") { Self.told(agent) == ["main"] ? true : nil }
      agent.remove("deaf.yaml")
      try await agent.waitUntilGone("deaf")
      // It was asked, went on for a while, and is no more.
      #expect(Self.told(agent).filter { $0 == "tick" }.count > 3)
      #expect(try await agent.engine.containers(ofPod: pod.uid).isEmpty)
      #expect(try await agent.traces(ofPod: pod.uid).isEmpty)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func initContainersComeInOrderAndASidecarEndsLast(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      func container(_ name: String, _ script: String, _ more: String = "") -> String {
        """
        - name: \(name)
          image: \(Manifest.image)
          command: [sh, -c, "\(script)"]
          \(Self.mount)
        \(Manifest.indent(more, 2))
        """
      }
      let sidecar = """
        restartPolicy: Always
        startupProbe: {exec: {command: [grep, -q, side, /h/told]}, periodSeconds: 1}
        """
      try agent.writePod(
        "web", "trap 'sleep 1; echo main-end >> /h/told; exit 0' TERM; echo main >> /h/told; sleep 1000000 & wait",
        container: Self.mount,
        spec: """
          \(Self.volume(agent))
          initContainers:
          \(container("first", "sleep 1; echo first >> /h/told"))
          \(container("side", "trap 'echo side-end >> /h/told; exit 0' TERM; sleep 1; echo side >> /h/told; sleep 1000000 & wait", sidecar))
          \(container("last", "echo last >> /h/told"))
          """)
      let pod = try await agent.waitUntilReady("web")
      _ = try await eventually("the main container speaks") { Self.told(agent).count == 4 ? true : nil }
      #expect(Self.told(agent) == ["first", "side", "last", "main"])
      for name in ["first", "last"] { #expect(pod.status(of: name)?.state?.terminated?.exitCode == 0) }
      #expect(pod.status(of: "side")?.state?.running != nil)
      #expect(pod.status(of: "side")?.started == true)
      agent.remove("web.yaml")
      try await agent.waitUntilGone("web")
      #expect(Self.told(agent) == ["first", "side", "last", "main", "main-end", "side-end"])
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aFailingLivenessProbeRestartsTheContainer(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "web", Manifest.sleeper,
        container: """
          livenessProbe: {exec: {command: [sh, -c, "test ! -f /tmp/dead || { echo dying; false; }"]}, periodSeconds: 1, failureThreshold: 2}
          """)
      let before = try await agent.waitUntilReady("web")
      #expect(try await agent.exec("web", "touch", "/tmp/dead").code == 0)
      let after = try await agent.wait(for: "web", "was restarted") { $0.isReady && $0.status(of: "main")?.restartCount == 1 }
      #expect(after.status(of: "main")?.containerID != before.status(of: "main")?.containerID)
      let events = try await agent.events("web")
      #expect(events.contains { $0.reason == "Unhealthy" && $0.message?.hasPrefix("Liveness probe failed: dying") == true })
      #expect(events.contains { $0.reason == "Killing" && $0.message == "Container main failed liveness probe, will be restarted" })
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func readinessFollowsTheAnswerOverHTTP(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "web", "mkdir /www; httpd -p 8080 -h /www; " + Manifest.sleeper,
        container: """
          ports: [{name: web, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ok, port: web}, periodSeconds: 1, failureThreshold: 1}
          """)
      let unready = try await agent.wait(for: "web", "runs and isn't ready") {
        $0.status(of: "main")?.state?.running != nil && !$0.isReady
      }
      #expect(unready.status?.conditions?.first { $0.type == "ContainersReady" }?.reason == "ContainersNotReady")
      _ = try await eventually("a probe failed") {
        try await agent.events("web").contains { $0.reason == "Unhealthy" && $0.message?.hasPrefix("Readiness probe failed:") == true }
          ? true : nil
      }
      for _ in 0..<2 {
        #expect(try await agent.exec("web", "touch", "/www/ok").code == 0)
        let ready = try await agent.waitUntilReady("web")
        #expect(ready.status(of: "main")?.restartCount == 0)
        #expect(try await agent.exec("web", "rm", "/www/ok").code == 0)
        let not = try await agent.wait(for: "web", "isn't ready any more") { !$0.isReady }
        #expect(not.status(of: "main")?.ready == false)
        #expect(not.status(of: "main")?.restartCount == 0)
      }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func theStartupProbeHoldsTheOthersBack(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "slow", Manifest.sleeper,
        container: """
          startupProbe: {exec: {command: [test, -f, /tmp/up]}, periodSeconds: 1, failureThreshold: 100}
          livenessProbe: {exec: {command: [test, -f, /tmp/up]}, periodSeconds: 1, failureThreshold: 1}
          """)
      _ = try await eventually("several startup probes failed") {
        let failures = try await agent.events("slow").filter { $0.message?.hasPrefix("Startup probe failed:") == true }
        return failures.reduce(0) { $0 + Int($1.count ?? 1) } >= 3 ? true : nil
      }
      let waiting = try #require(try await agent.pod("slow"))
      #expect(waiting.status(of: "main")?.started == false)
      #expect(waiting.status(of: "main")?.restartCount == 0)
      #expect(!waiting.isReady)
      #expect(try await agent.exec("slow", "touch", "/tmp/up").code == 0)
      let started = try await agent.waitUntilReady("slow")
      #expect(started.status(of: "main")?.started == true)
      #expect(started.status(of: "main")?.restartCount == 0)
      #expect(try await agent.exec("slow", "rm", "/tmp/up").code == 0)
      try await agent.wait(for: "slow", "was restarted by its liveness probe") { $0.status(of: "main")?.restartCount == 1 }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aPortThatIsOpenIsReady(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      let probe = "readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}"
      try agent.writePod("open", "httpd -p 8080 -h /etc; " + Manifest.sleeper, container: probe)
      try agent.writePod("shut", Manifest.sleeper, container: probe)
      try await agent.waitUntilReady("open")
      _ = try await eventually("the other's probe failed") {
        try await agent.events("shut").contains { $0.reason == "Unhealthy" && $0.message?.contains("refused") == true } ? true : nil
      }
      #expect(try await agent.pod("shut")?.isReady == false)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func aProbeThatTakesTooLongFails(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "web", Manifest.sleeper,
        container: """
          \(Self.mount)
          livenessProbe: {exec: {command: [sh, -c, "test -f /h/quick || sleep 100"]}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 1}
          """, spec: Self.volume(agent))
      try await agent.wait(for: "web", "was restarted") { $0.status(of: "main")?.restartCount ?? 0 >= 1 }
      #expect(
        try await agent.events("web").contains {
          $0.reason == "Unhealthy" && $0.message == "Liveness probe failed: command timed out after 1 s"
        })
      try "".write(toFile: agent.directory + "/h/quick", atomically: true, encoding: .utf8)
      try await agent.waitUntilReady("web")
      // Nothing of the commands that took too long runs on.
      _ = try await eventually("they ended") { try await agent.processes(running: "sleep 100 ").isEmpty ? true : nil }
    }
  }
}
