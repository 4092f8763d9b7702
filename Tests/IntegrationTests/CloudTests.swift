import CloudSimulator
import FoundationEssentials
import Glibc
import Testing
import YAML

/// The node in a cloud: what it is told, what it tells, and what happens while the cloud is away.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct CloudTests {
  private static let settings = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {mode: fast}
    """
  private static let credentials = """
    apiVersion: v1
    kind: Secret
    metadata: {name: creds}
    stringData: {password: correct-horse}
    """
  private static let volumes = """
    volumes:
    - {name: settings, configMap: {name: settings}}
    - {name: creds, secret: {secretName: creds, defaultMode: 256}}
    """
  private static let mounts = """
    env: [{name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}]
    volumeMounts:
    - {name: settings, mountPath: /settings}
    - {name: creds, mountPath: /creds}
    """

  @Test(arguments: Engine.Kind.allCases) func aPodGetsWhatItRefersToAndTellsHowItIs(kind: Engine.Kind) async throws {
    try await Cloud.with(kind) { cloud in
      try cloud.apply(Self.settings)
      try cloud.apply(Self.credentials)
      try cloud.applyPod("web", container: Self.mounts, spec: Self.volumes)
      let pod = try await cloud.waitUntilReady("web")
      let status = try #require(pod["status"])
      #expect(status["phase"] == .string("Running"))
      #expect(status["podIP"]?.string?.isEmpty == false)
      #expect(status["qosClass"] == .string("BestEffort"))
      #expect(pod.condition("PodScheduled") == "True" && pod.condition("Initialized") == "True")
      let inside = try await Shell.run(
        Checkout.programs + "/edgectl",
        [
          "exec", "--socket", cloud.agent.socket, "web", "--", "sh", "-c",
          "echo $MODE; cat /settings/mode /creds/password; stat -Lc %a /creds/password; cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; wc -c </var/run/secrets/kubernetes.io/serviceaccount/token",
        ])
      #expect(inside.output.hasPrefix("fast\nfastcorrect-horse400\ndefault"), "\(inside)")

      // A change gets into the running container's files.
      try cloud.apply(Self.settings.replacing("fast", with: "slow"))
      _ = try await eventually("the file has changed") {
        let path = "\(cloud.agent.root)/pods/\(pod.uid)/volumes/kubernetes.io~configmap/settings/mode"
        return text(of: path) == "slow" ? true : nil
      }
      // A container that ends is started again, and the cloud hears of it.
      let id = try #require(status["containerStatuses"]?.array?.first?["containerID"]?.string?.split(separator: "/").last)
      let main = try #require(try await processID(of: String(id), cloud.agent.engine))
      kill(main, SIGKILL)
      try await cloud.simulator.wait(for: "Pod", name: "web") { pod in
        pod["status"]?["containerStatuses"]?.array?.first?["restartCount"]?.int == 1 && pod.condition("Ready") == "True"
      }
      #expect(cloud.container("web")?["lastState"]?["terminated"]?["exitCode"]?.int == 137)

      try cloud.simulator.delete("Pod", name: "web")
      try await cloud.waitUntilGone("web")
      try await cloud.agent.waitUntilNoPods()
      #expect(try await cloud.agent.traces(ofPod: pod.uid) == [])
      #expect(try await cloud.agent.engine.containers(ofPod: pod.uid) == [])
      try await cloud.simulator.waitUntilAcknowledged()
      // Nothing secret is in the log.
      #expect(!cloud.agent.log.contains("correct-horse") && !cloud.agent.log.contains("Y29ycmVjdC1ob3JzZQ"))
    }
  }

  private func processID(of container: String, _ engine: Engine) async throws -> pid_t? {
    switch engine.kind {
    case .containerd:
      return try await engine.ctr("tasks", "ls").trimmingLines().first { $0.hasPrefix(container) }
        .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { pid_t($0) }
    case .docker: return pid_t(try await engine.docker("inspect", "-f", "{{.State.Pid}}", container).trimmingLines().first ?? "")
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/6414"), .bug("https://github.com/kubeedge/kubeedge/issues/4048"))
  func everythingComesBackWithoutACloud() async throws {
    try await Cloud.with { cloud in
      try cloud.apply(Self.settings)
      try cloud.apply(Self.credentials)
      for name in ["stays", "killed", "deleted"] {
        try cloud.applyPod(name, container: Self.mounts, spec: Self.volumes)
      }
      var before: [String: String] = [:]
      for name in ["stays", "killed", "deleted"] {
        let pod = try await cloud.waitUntilReady(name)
        before[name] = pod["status"]?["containerStatuses"]?.array?.first?["containerID"]?.string
      }
      try await cloud.simulator.waitUntilAcknowledged()
      await cloud.simulator.cut()
      try await cloud.agent.end(SIGKILL)
      let id = try #require(before["killed"]?.split(separator: "/").last)
      kill(try #require(try await processID(of: String(id), cloud.agent.engine)), SIGKILL)
      try await cloud.agent.start()
      let killed = try await cloud.agent.wait(forCloudPod: "killed", "runs again") {
        $0.status(of: "main")?.restartCount == 1 && $0.isReady
      }
      #expect(killed.status(of: "main")?.containerID != before["killed"])
      let stays = try await cloud.agent.wait(forCloudPod: "stays", "runs on") { $0.isReady }
      #expect(stays.status(of: "main")?.containerID == before["stays"])

      // Meanwhile things change in the cloud: one pod goes, one comes, a config map changes.
      try cloud.simulator.delete("Pod", name: "deleted", gracePeriod: 0)
      try cloud.applyPod("new", container: Self.mounts, spec: Self.volumes)
      try cloud.apply(Self.settings.replacing("fast", with: "slow"))
      try await cloud.simulator.restore()
      try await cloud.waitUntilReady("new")
      try await cloud.simulator.wait(for: "Pod", name: "killed") {
        $0["status"]?["containerStatuses"]?.array?.first?["restartCount"]?.int == 1
      }
      _ = try await eventually("the deleted pod is gone") { try await cloud.agent.cloudPod("deleted") == nil ? true : nil }
      try await cloud.simulator.waitUntilAcknowledged()
      let after = try #require(try await cloud.agent.cloudPod("stays"))
      #expect(after.status(of: "main")?.containerID == before["stays"], "a healthy pod is left alone by the reconnect")
      #expect(after.status(of: "main")?.restartCount == 0)
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/3462"), .bug("https://github.com/kubeedge/kubeedge/issues/3460"))
  func aPodThatEndedWhileTheCloudWasAwayIsToldAndConfirmed() async throws {
    try await Cloud.with { cloud in
      try cloud.applyPod("job", "sleep 2; echo done", spec: "restartPolicy: Never")
      try await cloud.simulator.wait(for: "Pod", name: "job") { $0["status"]?["phase"] == .string("Running") }
      try cloud.applyPod("leaving")
      try await cloud.waitUntilReady("leaving")
      await cloud.simulator.cut()
      _ = try await cloud.agent.wait(forCloudPod: "job", "has ended") { $0.status?.phase == .succeeded }
      try await cloud.agent.killAndStart()
      // Asked to go while nobody was there to be told.
      try cloud.simulator.delete("Pod", name: "leaving")
      try await cloud.simulator.restore()
      let job = try await cloud.simulator.wait(for: "Pod", name: "job") { $0["status"]?["phase"] == .string("Succeeded") }
      #expect(job["status"]?["containerStatuses"]?.array?.first?["state"]?["terminated"]?["exitCode"]?.int == 0)
      try await cloud.waitUntilGone("leaving")
    }
  }

  /// The store is lost, the cloud isn't there: what runs goes on; when the cloud is back, it tells what the store has lost.
  @Test func aDamagedStoreIsRebuiltAndPodsRunOn() async throws {
    try await Cloud.with { cloud in
      try cloud.apply(Self.settings)
      try cloud.apply(Self.credentials)
      try cloud.applyPod("web", container: Self.mounts, spec: Self.volumes)
      let pod = try await cloud.waitUntilReady("web")
      let id = pod["status"]?["containerStatuses"]?.array?.first?["containerID"]
      try await cloud.simulator.waitUntilAcknowledged()
      await cloud.simulator.cut()
      try await cloud.agent.end(SIGKILL)
      for companion in ["", "-wal", "-shm"] { unlink(cloud.agent.store + "/edgecore.db" + companion) }
      try "this is no database, and long enough to be looked at as one".write(
        toFile: cloud.agent.store + "/edgecore.db", atomically: false, encoding: .utf8)
      try await cloud.agent.start()
      _ = try await eventually("it says that the store was damaged") { cloud.agent.log.contains("the database was damaged") ? true : nil }
      let containers = try await cloud.agent.engine.containers(ofPod: pod.uid)
      try await cloud.simulator.restore()
      _ = try await cloud.agent.wait(forCloudPod: "web", "is known again") { $0.isReady }
      #expect(try await cloud.agent.engine.containers(ofPod: pod.uid) == containers)
      #expect(cloud.container("web")?["containerID"] == id)
      // And the node is whole again: the next pod goes as ever.
      try cloud.simulator.delete("Pod", name: "web")
      try await cloud.waitUntilGone("web")
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/4106")) func aConfigMapThatIsDeletedAndMadeAgainIsTheNewOne() async throws {
    try await Cloud.with { cloud in
      try cloud.apply(Self.settings)
      try cloud.apply(Self.credentials)
      try cloud.applyPod("web", container: Self.mounts, spec: Self.volumes)
      let pod = try await cloud.waitUntilReady("web")
      try cloud.simulator.delete("ConfigMap", name: "settings")
      try cloud.apply(Self.settings.replacing("fast", with: "second"))
      _ = try await eventually("the file is of the new one") {
        let path = "\(cloud.agent.root)/pods/\(pod.uid)/volumes/kubernetes.io~configmap/settings/mode"
        return text(of: path) == "second" ? true : nil
      }
      #expect(cloud.container("web")?["restartCount"]?.int == 0)
      try cloud.simulator.delete("Pod", name: "web", gracePeriod: 0)
      // A pod that comes before what it refers to waits for it.
      try cloud.simulator.delete("ConfigMap", name: "settings")
      try cloud.applyPod("early", container: Self.mounts, spec: Self.volumes)
      _ = try await cloud.agent.eventsOfCloudPod("early", "FailedMount")
      try cloud.apply(Self.settings)
      try await cloud.waitUntilReady("early", within: .seconds(150))
    }
  }

  @Test func staticPodsAreShownToTheCloud() async throws {
    try await Cloud.with { cloud in
      try cloud.agent.writePod("fixed", Manifest.sleeper)
      let name = "fixed-\(cloud.agent.node)"
      let mirror = try await cloud.waitUntilReady(name)
      #expect(mirror["metadata"]?["annotations"]?["kubernetes.io/config.mirror"] != nil)
      let before = try await cloud.agent.waitUntilReady("fixed")
      // Deleting the mirror doesn't stop the pod; there is a new one soon.
      try cloud.simulator.delete("Pod", name: name, gracePeriod: 0)
      try await cloud.simulator.wait(for: "Pod", name: name) { $0.uid != mirror.uid && $0.condition("Ready") == "True" }
      let after = try await cloud.agent.waitUntilReady("fixed")
      #expect(after.status(of: "main")?.containerID == before.status(of: "main")?.containerID)
      cloud.agent.remove("fixed.yaml")
      try await cloud.waitUntilGone(name)
    }
  }

  @Test func theNodeRegistersAgainWhenItIsDeleted() async throws {
    try await Cloud.with { cloud in
      let first = try #require(cloud.simulator.get("Node", name: cloud.agent.node))
      try cloud.simulator.delete("Node", name: cloud.agent.node)
      let second = try await cloud.simulator.wait(for: "Node", name: cloud.agent.node) { $0.condition("Ready") == "True" }
      #expect(second.uid != first.uid)
    }
  }

  /// Pushed without waiting for acknowledgements, ten times more than a mailbox holds: everything is stored and acknowledged, and the agent
  /// doesn't grow with it.
  @Test func aFloodOfUpdatesIsStoredAndAcknowledged() async throws {
    try await Cloud.with { cloud in
      let count = 10_000
      let updates = (1...count).map { number in
        let name = "flood-\(number % 200)"
        return JSONValue.object([
          .init("kind", .string("ConfigMap")), .init("apiVersion", .string("v1")),
          .init(
            "metadata",
            .object([
              .init("name", .string(name)), .init("namespace", .string("default")), .init("uid", .string(name)),
              .init("resourceVersion", .string(String(1_000_000 + number))),
            ])),
          .init("data", .object([.init("text", .string(String(repeating: "\(number) ", count: 100)))])),
        ])
      }
      let before = cloud.agent.residentMemory
      let began = ContinuousClock.now
      try cloud.simulator.push(updates, to: cloud.agent.node)
      _ = try await eventually("all are acknowledged", within: .seconds(120)) {
        cloud.simulator.acknowledgedPushes(of: cloud.agent.node) == count ? true : nil
      }
      let seconds = (ContinuousClock.now - began) / .seconds(1)
      print("flood: \(Int(Double(count) / seconds)) updates/s, resident memory \(before >> 10) → \(cloud.agent.residentMemory >> 10) KiB")
      // 20 MB came in; what is kept of it is on the disk.
      #expect(cloud.agent.residentMemory < before + (24 << 20))
      for number in (count - 199)...count {
        let row = try await cloud.agent.get("/v1/db/row?key=default/configmap/flood-\(number % 200)")
        #expect(row["metadata"]?["resourceVersion"] == .string(String(1_000_000 + number)))
      }
    }
  }
}
