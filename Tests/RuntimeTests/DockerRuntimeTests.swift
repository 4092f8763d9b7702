import Curl
import Foundation
import Testing

@testable import Runtime

/// Against a real dockerd.
@Suite(.enabled(if: DockerEngine.isAvailable, "needs root and dockerd"), .timeLimit(.minutes(5)))
struct DockerRuntimeTests {
  private func engine() async throws -> DockerEngine { try await DockerEngine.shared.value }

  // MARK: The engine

  @Test func tellsOfItself() async throws {
    let runtime = try await engine().runtime
    let version = try await runtime.version()
    #expect(version.runtimeName == "docker")
    #expect(!version.runtimeVersion.isEmpty)
    let status = try await runtime.status()
    #expect(status.conditions.map(\.type) == ["RuntimeReady", "NetworkReady"])
    #expect(status.conditions.allSatisfy { $0.status }, "\(status.conditions)")
    #expect(try await runtime.cgroupDriver() == .cgroupfs)
    #expect(runtime.scheme == "docker")
  }

  @Test func reportsAnEngineThatIsNotThere() async throws {
    let runtime = DockerRuntime(socketPath: "/tmp/no-such-docker.sock", http: HTTPClient(), requestTimeout: .seconds(5))
    let error = await #expect(throws: RuntimeError.self) { try await runtime.status() }
    #expect(error?.code == .unavailable)
    await #expect(throws: RuntimeError.self) { for try await _ in runtime.events() {} }
    await runtime.shutdown()
  }

  // MARK: Sandboxes

  @Test func runsASandbox() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    let config = engine.sandboxConfig("sandbox")
    let id = try await runtime.runPodSandbox(config, runtimeHandler: "")
    let status = try await runtime.podSandboxStatus(id)
    #expect(status.id == id)
    #expect(status.metadata == config.metadata)
    #expect(status.state == .sandboxReady)
    #expect(status.createdAt > 1_600_000_000_000_000_000)
    #expect(status.network.ip.split(separator: ".").count == 4, "\(status.network.ip)")
    #expect(status.labels == config.labels)
    #expect(status.annotations == config.annotations)
    #expect(status.linux.namespaces.options.network == .pod)

    let listed = try await runtime.listPodSandboxes(.with { $0.labelSelector = ["app": "sandbox"] })
    #expect(listed.map(\.id) == [id])
    #expect(listed.first?.metadata == config.metadata)
    #expect(listed.first?.state == .sandboxReady)
    #expect(listed.first?.labels == config.labels)
    #expect(try await runtime.listPodSandboxes(.with { $0.id = id }).count == 1)
    let notReady = CRIPodSandboxFilter.with {
      $0.id = id
      $0.state.state = .sandboxNotready
    }
    #expect(try await runtime.listPodSandboxes(notReady).isEmpty)

    try await runtime.stopPodSandbox(id)
    try await runtime.stopPodSandbox(id)
    let stopped = try await runtime.podSandboxStatus(id)
    #expect(stopped.state == .sandboxNotready)
    #expect(stopped.network.ip.isEmpty)
    #expect(try await runtime.listPodSandboxes(notReady).map(\.id) == [id])

    try await runtime.removePodSandbox(id)
    try await runtime.removePodSandbox(id)
    try await runtime.stopPodSandbox(id)
    let error = await #expect(throws: RuntimeError.self) { try await runtime.podSandboxStatus(id) }
    #expect(error?.code == .notFound)
  }

  @Test func givesTheSandboxItsSettings() async throws {
    let engine = try await engine()
    let parent = "/edgecore-docker-test"
    try await engine.withPod("settings") { config in
      config.linux.sysctls = ["net.ipv4.ip_unprivileged_port_start": "79"]
      config.linux.cgroupParent = parent
    } _: { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      func output(_ command: String) async throws -> String {
        engine.text(try await engine.runtime.execSync(id, command: ["sh", "-c", command], timeout: nil).stdout)
      }
      #expect(try await output("hostname") == "settings\n")
      #expect(
        try await output("cat /etc/resolv.conf")
          == "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n")
      #expect(try await output("cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "79\n")
      #expect(try await output("cat /proc/self/cgroup").contains("\(parent)/\(id)"))
    }
  }

  @Test func publishesHostPorts() async throws {
    let engine = try await engine()
    let port = Int32.random(in: 20_000..<30_000)
    try await engine.withPod("ports") { config in
      config.portMappings = [
        .with {
          $0.containerPort = 8080
          $0.hostPort = port
          $0.hostIp = "127.0.0.1"
        }
      ]
    } _: { pod in
      _ = try await pod.start("app", ["sh", "-c", "mkdir /www && echo hello >/www/index.html && httpd -f -p 8080 -h /www"])
      // The server needs a moment to listen: inside, a failed connection is tried again until it does.
      let waits = "until wget -q -O /dev/null http://127.0.0.1:8080/; do :; done"
      _ = try await pod.run("wait", ["sh", "-c", waits])
      let http = HTTPClient()
      let response = try await http.execute(HTTPRequest("GET", "http://127.0.0.1:\(port)/"))
      #expect(engine.text(try await response.body.collect(upTo: 1000)) == "hello\n")
      await http.shutdown()
    }
  }

  @Test func usesTheHostsNetwork() async throws {
    let engine = try await engine()
    try await engine.withPod("hostnet") { config in
      config.hostname = ""
      config.linux.securityContext.namespaceOptions.network = .node
    } _: { pod in
      let status = try await engine.runtime.podSandboxStatus(pod.id)
      #expect(status.network.ip.isEmpty)
      #expect(status.linux.namespaces.options.network == .node)
      let id = try await pod.start("app", ["sleep", "1000"]) { $0.linux.securityContext.namespaceOptions.network = .node }
      let result = try await engine.runtime.execSync(id, command: ["readlink", "/proc/self/ns/net"], timeout: nil)
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
      #expect(engine.text(result.stdout) == own + "\n")
    }
  }

  // MARK: Containers

  @Test func runsAContainer() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    let mounted = engine.folder + "/mounted"
    try FileManager.default.createDirectory(atPath: mounted, withIntermediateDirectories: true)
    try Data("from the host\n".utf8).write(to: URL(fileURLWithPath: mounted + "/file"))
    try await engine.withPod("life") { pod in
      let id = try await pod.create("app", ["sh", "-c", "cat /mnt/file; echo $GREETING; cat /etc/hosts >&2; exit 3"]) {
        $0.metadata.attempt = 2
        $0.envs = [
          .with {
            $0.key = "GREETING"
            $0.value = "hi = there"
          }
        ]
        $0.mounts = [
          .with {
            $0.hostPath = mounted
            $0.containerPath = "/mnt"
            $0.readonly = true
          },
          .with {
            $0.hostPath = mounted + "/file"
            $0.containerPath = "/etc/hosts"
          },
        ]
      }
      let created = try await runtime.containerStatus(id)
      #expect(created.state == .containerCreated)
      #expect(try await runtime.listContainers(.with { $0.id = id }).map(\.state) == [.containerCreated])

      var events = runtime.events().makeAsyncIterator()
      #expect(try await events.next() == .connected)
      try await runtime.startContainer(id)
      var seen: [RuntimeEvent] = []
      while seen.last != .exited(containerID: id, exitCode: 3), let event = try await events.next() {
        if [.started(containerID: id), .exited(containerID: id, exitCode: 3)].contains(event) { seen.append(event) }
      }
      #expect(seen == [.started(containerID: id), .exited(containerID: id, exitCode: 3)])

      let status = try await runtime.containerStatus(id)
      #expect(status.state == .containerExited)
      #expect(status.exitCode == 3)
      #expect(status.reason == "Error")
      #expect(status.metadata.name == "app")
      #expect(status.metadata.attempt == 2)
      #expect(status.image.image == DockerEngine.image)
      #expect(status.imageID.hasPrefix("sha256:"))
      #expect(!status.imageRef.isEmpty)
      #expect(status.createdAt <= status.startedAt && status.startedAt <= status.finishedAt)
      #expect(status.labels == ["io.kubernetes.container.name": "app"])
      #expect(status.annotations == ["io.kubernetes.container.restartCount": "0"])
      let mount = status.mounts.first { $0.containerPath == "/mnt" }
      #expect(mount?.hostPath == mounted)
      #expect(mount?.readonly == true)

      // The log is where Kubernetes looks for it, and goes with the container.
      #expect(status.logPath == pod.config.logDirectory + "/app/0.log")
      let log = try String(contentsOfFile: status.logPath, encoding: .utf8)
      #expect(log.contains(#"{"log":"from the host\n","stream":"stdout""#))
      #expect(log.contains(#"{"log":"hi = there\n","stream":"stdout""#))
      #expect(log.contains(#"{"log":"from the host\n","stream":"stderr""#))

      let listed = try await runtime.listContainers(.with { $0.podSandboxID = pod.id })
      #expect(listed.map(\.id) == [id])
      #expect(listed.first?.state == .containerExited)
      #expect(listed.first?.podSandboxID == pod.id)
      #expect(listed.first?.metadata == status.metadata)
      #expect(listed.first?.labels == status.labels)
      let running = CRIContainerFilter.with {
        $0.podSandboxID = pod.id
        $0.state.state = .containerRunning
      }
      #expect(try await runtime.listContainers(running).isEmpty)

      try await runtime.removeContainer(id)
      try await runtime.removeContainer(id)
      try await runtime.stopContainer(id, gracePeriod: 1)
      #expect(throws: (any Error).self) { try FileManager.default.destinationOfSymbolicLink(atPath: status.logPath) }
      while let event = try await events.next(), event != .removed(containerID: id) {}
      let error = await #expect(throws: RuntimeError.self) { try await runtime.containerStatus(id) }
      #expect(error?.code == .notFound)
    }
  }

  @Test func sharesTheSandboxsNetwork() async throws {
    let engine = try await engine()
    try await engine.withPod("shared") { pod in
      _ = try await pod.start("server", ["sh", "-c", "while :; do echo hello | nc -l -p 7000; done"])
      let client = try await pod.run("client", ["sh", "-c", "until nc 127.0.0.1 7000 </dev/null | grep hello; do :; done"])
      #expect(client.exitCode == 0)
      #expect(client.reason == "Completed")
      // Processes are not shared unless the pod says so.
      let alone = try await pod.run("alone", ["sh", "-c", "test $$ = 1"])
      #expect(alone.exitCode == 0)
      let together = try await pod.run("together", ["sh", "-c", "test $$ != 1"]) {
        $0.linux.securityContext.namespaceOptions.pid = .pod
      }
      #expect(together.exitCode == 0)
    }
  }

  @Test func stopsContainers() async throws {
    let engine = try await engine()
    try await engine.withPod("stops") { pod in
      let polite = try await pod.start("polite", ["sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 1; done"])
      let log = pod.config.logDirectory + "/polite/0.log"
      while try !String(contentsOfFile: log, encoding: .utf8).contains("ready") { await Task.yield() }
      try await engine.runtime.stopContainer(polite, gracePeriod: 30)
      #expect(try await engine.runtime.containerStatus(polite).exitCode == 7)
      // The first process of a PID namespace without a handler doesn't see SIGTERM.
      let stubborn = try await pod.start("stubborn", ["sleep", "1000"])
      try await engine.runtime.stopContainer(stubborn, gracePeriod: 0)
      #expect(try await engine.runtime.containerStatus(stubborn).exitCode == 137)
      try await engine.runtime.stopContainer(stubborn, gracePeriod: 0)
    }
  }

  @Test func tellsWhyAContainerCannotRun() async throws {
    let engine = try await engine()
    try await engine.withPod("cannot") { pod in
      let id = try await pod.create("app", ["/no/such/command"])
      let error = await #expect(throws: RuntimeError.self) { try await engine.runtime.startContainer(id) }
      #expect(error?.message.contains("/no/such/command") == true)
      let status = try await engine.runtime.containerStatus(id)
      #expect(status.state == .containerExited)
      #expect(status.reason == "ContainerCannotRun")
      #expect(status.exitCode == 127)
      #expect(status.message.contains("/no/such/command"))
      #expect(status.finishedAt == status.createdAt)
      #expect(try await engine.runtime.listContainers(.with { $0.id = id }).map(\.state) == [.containerExited])
    }
  }

  @Test func tellsOfMissingMemory() async throws {
    let engine = try await engine()
    try await engine.withPod("oom") { pod in
      let status = try await pod.run("app", ["sh", "-c", "exec tail /dev/zero"]) {
        $0.linux.resources.memoryLimitInBytes = 16 << 20
      }
      #expect(status.reason == "OOMKilled")
      #expect(status.exitCode == 137)
    }
  }

  @Test func replacesADeadContainerOfTheSameName() async throws {
    let engine = try await engine()
    try await engine.withPod("twice") { pod in
      let first = try await pod.create("app", ["true"])
      let second = try await pod.create("app", ["sleep", "1000"])
      #expect(first != second)
      #expect(try await engine.runtime.listContainers(.with { $0.podSandboxID = pod.id }).map(\.id) == [second])
      try await engine.runtime.startContainer(second)
      let error = await #expect(throws: RuntimeError.self) { try await pod.create("app", ["true"]) }
      #expect(error?.code == .alreadyExists)
    }
  }

  @Test func leavesOthersAlone() async throws {
    let engine = try await engine()
    let body = #"{"Image":"busybox:1.36","Cmd":["sleep","1000"],"Labels":{"app":"foreign"}}"#
    let name = "k8s_app_foreign_default_uid-foreign_0"
    let created = try await engine.raw("POST", "/containers/create?name=\(name)", json: body)
    #expect(created.status == 201)
    let foreign = try JSONDecoder().decode(DockerCreated.self, from: Data(created.text.utf8)).id
    #expect(try await engine.raw("POST", "/containers/\(foreign)/start").status == 204)
    let runtime = engine.runtime
    #expect(try await runtime.listContainers(.with { $0.labelSelector = ["app": "foreign"] }).isEmpty)
    #expect(try await runtime.listPodSandboxes(.with { $0.labelSelector = ["app": "foreign"] }).isEmpty)
    try await runtime.stopContainer(foreign, gracePeriod: 0)
    try await runtime.removeContainer(foreign)
    try await runtime.stopPodSandbox(foreign)
    try await runtime.removePodSandbox(foreign)
    let error = await #expect(throws: RuntimeError.self) { try await runtime.containerStatus(foreign) }
    #expect(error?.code == .notFound)
    await #expect(throws: RuntimeError.self) { try await runtime.execSync(foreign, command: ["true"], timeout: nil) }
    // Its name doesn't stand in the way of ours.
    try await engine.withPod("foreign") { pod in
      let id = try await pod.start("app", ["sleep", "1000"])
      #expect(try await runtime.containerStatus(id).metadata.name == "app")
    }
    #expect(try await engine.raw("GET", "/containers/\(foreign)/json").text.contains(#""Running":true"#))
    #expect(try await engine.raw("DELETE", "/containers/\(foreign)?force=1").status == 204)
  }

  @Test func confinesContainers() async throws {
    let engine = try await engine()
    let profile = engine.folder + "/profile.json"
    let rules = """
      {"defaultAction": "SCMP_ACT_ALLOW",
       "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
      """
    try Data(rules.utf8).write(to: URL(fileURLWithPath: profile))
    try await engine.withPod("confined") { pod in
      let id = try await pod.start("app", ["sleep", "1000"]) {
        $0.linux.securityContext = .with {
          $0.runAsUser.value = 1234
          $0.runAsGroup.value = 56
          $0.supplementalGroups = [78]
          $0.noNewPrivs = true
          $0.readonlyRootfs = true
          $0.capabilities.dropCapabilities = ["ALL"]
          $0.seccomp.profileType = .localhost
          $0.seccomp.localhostRef = profile
          $0.maskedPaths = ["/proc/uptime"]
        }
        $0.mounts = [
          .with {
            $0.hostPath = engine.folder + "/made/by/docker"
            $0.containerPath = "/data"
          }
        ]
        $0.linux.resources.cpuShares = 512
        $0.linux.resources.memoryLimitInBytes = 64 << 20
      }
      func output(_ command: String) async throws -> String {
        let result = try await engine.runtime.execSync(id, command: ["sh", "-c", command], timeout: nil)
        return engine.text(result.stdout + result.stderr).trimmingCharacters(in: .newlines)
      }
      let user = try await output("id -u; id -g; id -G")
      #expect(user == "1234\n56\n56 78")
      let privileges = try await output("grep -E '(NoNewPrivs|CapBnd)' /proc/self/status")
      #expect(privileges == "CapBnd:\t0000000000000000\nNoNewPrivs:\t1")
      let touch = try await output("touch /x")
      #expect(touch.contains("Read-only file system"))
      let mkdir = try await output("mkdir /tmp/x")
      #expect(mkdir.contains("Operation not permitted"))
      let masked = try await output("cat /proc/uptime")
      #expect(masked.isEmpty)
      let status = try await engine.runtime.containerStatus(id)
      #expect(status.resources.linux.cpuShares == 512)
      try await engine.runtime.updateContainerResources(
        id,
        .with {
          $0.cpuShares = 256
          $0.memoryLimitInBytes = 128 << 20
        })
      let updated = try await engine.runtime.containerStatus(id).resources.linux
      #expect(updated.cpuShares == 256)
      #expect(updated.memoryLimitInBytes == 128 << 20)
    }
  }

  @Test func leavesNothingBehind() async throws {
    let engine = try await engine()
    let runtime = engine.runtime
    let config = engine.sandboxConfig("gone")
    let id = try await runtime.runPodSandbox(config, runtimeHandler: "")
    let pod = DockerEngine.Pod(engine: engine, config: config, id: id)
    let running = try await pod.start("running", ["sleep", "1000"])
    let created = try await pod.create("created", ["true"])
    let link = config.logDirectory + "/running/0.log"
    #expect(FileManager.default.fileExists(atPath: link))
    // Without a stop before.
    try await runtime.removePodSandbox(id)
    for container in [running, created, id] {
      #expect(try await engine.raw("GET", "/containers/\(container)/json").status == 404)
    }
    #expect(throws: (any Error).self) { try FileManager.default.destinationOfSymbolicLink(atPath: link) }
    #expect(try await engine.raw("GET", "/volumes").text.contains(#""Volumes":[]"#))
  }

  @Test func cleansUpAfterASandboxThatCannotStart() async throws {
    let engine = try await engine()
    var config = engine.sandboxConfig("broken")
    config.linux.sysctls = ["net.no.such.thing": "1"]
    let error = await #expect(throws: RuntimeError.self) { try await engine.runtime.runPodSandbox(config, runtimeHandler: "") }
    #expect(error?.operation == "RunPodSandbox")
    #expect(try await engine.runtime.listPodSandboxes(.with { $0.labelSelector = ["app": "broken"] }).isEmpty)
  }

  @Test func measuresContainers() async throws {
    let engine = try await engine()
    try await engine.withPod("stats") { pod in
      let id = try await pod.start("app", ["sh", "-c", "while :; do :; done"])
      let ended = try await pod.run("ended", ["true"])
      let stats = try await engine.runtime.containerStats(id)
      #expect(stats.attributes.id == id)
      #expect(stats.attributes.metadata.name == "app")
      #expect(stats.cpu.usageCoreNanoSeconds.value > 0)
      #expect(stats.cpu.timestamp > 1_600_000_000_000_000_000)
      #expect(stats.memory.workingSetBytes.value > 0)
      #expect(stats.memory.usageBytes.value >= stats.memory.workingSetBytes.value)
      let all = try await engine.runtime.listContainerStats(.with { $0.podSandboxID = pod.id })
      #expect(all.map(\.attributes.id) == [id])
      #expect(try await !engine.runtime.containerStats(ended.id).hasCpu)
      let error = await #expect(throws: RuntimeError.self) { try await engine.runtime.containerStats("none") }
      #expect(error?.code == .notFound)
      let unsupported = await #expect(throws: RuntimeError.self) { try await engine.runtime.reopenContainerLog(id) }
      #expect(unsupported?.code == .unsupported)
    }
  }

  // MARK: Events

  @Test func endsEventsWithTheConnection() async throws {
    let runtime = try await engine().another()
    var events = runtime.events().makeAsyncIterator()
    #expect(try await events.next() == .connected)
    await runtime.shutdown()
    let error = await #expect(throws: RuntimeError.self) { while try await events.next() != nil {} }
    #expect(error?.code == .unavailable)
  }
}
