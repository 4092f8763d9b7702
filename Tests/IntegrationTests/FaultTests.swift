import FoundationEssentials
import Glibc
import KubernetesAPI
import LocalAPI
import Testing

/// What goes wrong around the agent: manifests, the engine, the agent itself, the disk.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct FaultTests {
  private struct BadManifest {
    var file: String
    var text: String
    var line: Int?
    var field: String?
    var says: String
    /// The pod's name, if the manifest tells one.
    var pod: String?
  }

  private static func container(_ more: String) -> String {
    "  containers:\n  - name: main\n    image: \(Manifest.image)\n    command: [sleep, \"1000000\"]\n" + more
  }

  private static func head(_ name: String) -> String { "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \(name)\nspec:\n" }

  private static let badManifests = [
    BadManifest(file: "syntax.yaml", text: "apiVersion: v1\nkind: [Pod\n", says: "", pod: nil),
    BadManifest(
      file: "nameless.yaml", text: "apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {a: b}\nspec:\n" + container(""), line: 3,
      field: "metadata.name", says: "", pod: nil),
    BadManifest(
      file: "type.yaml", text: head("type") + container("    ports: none\n"), line: 10, field: "spec.containers[0].ports",
      says: "expected a list, found a string", pod: "type"),
    BadManifest(
      file: "volume.yaml", text: head("volume") + container("    volumeMounts:\n    - name: missing\n      mountPath: /x\n"), line: 11,
      field: "spec.containers[0].volumeMounts[0].name", says: "\"missing\" names no volume of this pod", pod: "volume"),
    BadManifest(
      file: "probe.yaml",
      text: head("probe") + container("    livenessProbe:\n      exec: {command: [\"true\"]}\n      tcpSocket: {port: 80}\n"), line: 10,
      field: "spec.containers[0].livenessProbe", says: "more than one handler: exec, tcpSocket", pod: "probe"),
    BadManifest(
      file: "up.yaml", text: head("up") + "  volumes:\n  - name: v\n    hostPath:\n      path: /tmp/../etc\n" + container(""), line: 9,
      field: "spec.volumes[0].hostPath.path", says: "must not contain \"..\"", pod: "up"),
  ]

  @Test func badManifestsAreNamedAndHarmNoOther() async throws {
    try await Agent.with(.containerd) { agent in
      for bad in Self.badManifests { try agent.write(bad.file, bad.text) }
      try agent.write("twice-a.yaml", Manifest.pod("twice", Manifest.sleeper))
      try agent.write("twice-b.yaml", Manifest.pod("twice", "echo other; " + Manifest.sleeper))
      try agent.writePod("good", Manifest.sleeper)
      try await agent.waitUntilReady("good")
      try await agent.waitUntilReady("twice")

      let problems = try await agent.problems()
      #expect(problems.count == Self.badManifests.count + 1)
      for bad in Self.badManifests {
        let path = agent.manifests + "/" + bad.file
        let problem = try #require(problems.first { $0.file == path }, "\(bad.file) in \(problems)")
        if let line = bad.line { #expect(problem.line == line, "\(problem)") } else { #expect(problem.line != nil, "\(problem)") }
        #expect(problem.field == bad.field, "\(problem)")
        #expect(problem.message.contains(bad.says), "\(problem)")
        let logged = agent.log.trimmingLines().contains { line in
          line.contains("\"\(bad.file):") && (bad.field.map { line.contains($0) } ?? true)
        }
        #expect(logged, "\(bad.file) in the log\n\(agent.log)")
        guard let name = bad.pod else { continue }
        let described = try await agent.edgectl("describe", "pod", name)
        #expect(described.output.contains("\(path):\(bad.line ?? 0): \(bad.field ?? "")"), "\(described)")
        #expect(try await agent.pod(name) == nil)
      }
      let double = try #require(problems.first { $0.file.hasSuffix("/twice-b.yaml") })
      #expect(double.field == "metadata.name")
      #expect(double.message.contains("twice-a.yaml"))
      #expect(double.line == 1)

      // Put right, it runs.
      try agent.writePod("volume", Manifest.sleeper)
      try await agent.waitUntilReady("volume")
      #expect(try await agent.problems().contains { $0.file.hasSuffix("/volume.yaml") } == false)
    }
  }

  enum Loss: CaseIterable { case nothing, everything }

  @Test(arguments: Engine.Kind.allCases, Loss.allCases)
  func aKilledEngineIsTakenUpAgain(kind: Engine.Kind, loss: Loss) async throws {
    let directory = "/tmp/edgecore-crash-\(getpid())-\(kind.rawValue)-\(loss)"
    let engine = try await Engine.start(kind, directory: directory)
    do {
      try await Agent.with(engine) { agent in
        var before: [Pod] = []
        for name in ["one", "two"] { try agent.writePod(name, Manifest.sleeper) }
        for name in ["one", "two"] { before.append(try await agent.waitUntilReady(name)) }
        let command = try await engine.crash()
        switch loss {
        case .nothing: try await engine.revive(command)
        case .everything: _ = try await Engine.start(kind, directory: directory)
        }
        // What was said before the crash is no news: the engine itself has to have the pods.
        _ = try await eventually("each pod has one sandbox", within: .seconds(120)) { () -> Bool? in
          for pod in before where try await engine.runningSandboxes(ofPod: pod.uid).count != 1 { return nil }
          return true
        }
        for (name, old) in zip(["one", "two"], before) {
          _ = try await eventually("\(name) answers", within: .seconds(120)) {
            try await agent.exec(name, "true").code == 0 ? true : nil
          }
          let now = try await agent.waitUntilReady(name, within: .seconds(120))
          #expect(now.uid == old.uid)
          #expect(try await engine.runningSandboxes(ofPod: old.uid).count == 1)
          if kind == .containerd, loss == .nothing { #expect(now.status(of: "main") == old.status(of: "main")) }
        }
        #expect(try await agent.processes(running: "sleep 1000000").count == 2)
      }
    } catch {
      try? await engine.stop()
      throw error
    }
    try await engine.stop()
  }

  @Test(arguments: Engine.Kind.allCases)
  func anAgentKilledWhileItMakesAPodMakesNoSecond(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      for delay in [0, 30, 80, 150, 300, 600, 1200] {
        let name = "p\(delay)"
        try agent.writePod(name, Manifest.sleeper, container: Self.mount, spec: Self.volume)
        try await Task.sleep(for: .milliseconds(delay))
        try await agent.end(SIGKILL)
        try await agent.start()
        let pod = try await agent.waitUntilReady(name)
        _ = try await eventually("\(name) has one sandbox") {
          try await agent.engine.runningSandboxes(ofPod: pod.uid).count == 1 ? true : nil
        }
        #expect(try await agent.processes(running: "sleep 1000000").count == 1, "killed after \(delay) ms")
        agent.remove("\(name).yaml")
        try await agent.waitUntilGone(name)
        #expect(try await agent.traces(ofPod: pod.uid).isEmpty, "killed after \(delay) ms")
        #expect(try await agent.engine.containers(ofPod: pod.uid).isEmpty, "killed after \(delay) ms")
      }
    }
  }

  /// An engine may finish what a dead agent asked for when the living one has already looked around.
  @Test func aSandboxThatNobodyWishesForIsRemovedSoonAfterItStarts() async throws {
    try await Agent.with(.docker) { agent in
      try agent.writePod("first", Manifest.sleeper)
      try await agent.waitUntilReady("first")
      let labels = [
        "io.kubernetes.pod.uid=0-1", "io.kubernetes.pod.name=lost", "io.kubernetes.pod.namespace=default",
        "io.kubernetes.docker.type=podsandbox",
      ]
      let id = try await agent.engine.docker(
        arguments: ["run", "-d"] + labels.flatMap { ["--label", $0] } + ["busybox:1.36", "sleep", "1000000"])
      #expect(try await agent.engine.containers(ofPod: "0-1") == id.trimmingLines())
      _ = try await eventually("the sandbox is gone", within: .seconds(60)) {
        try await agent.engine.containers(ofPod: "0-1").isEmpty ? true : nil
      }
      try await agent.waitUntilReady("first")
    }
  }

  private static let mount = "volumeMounts: [{name: ram, mountPath: /ram}]"
  private static let volume = "volumes: [{name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]"

  @Test(.timeLimit(.minutes(12)))
  func aHundredPodsComeAndGo() async throws {
    try await Agent.with(.containerd) { agent in
      try agent.writePod("first", Manifest.sleeper)
      try await agent.waitUntilReady("first")
      agent.remove("first.yaml")
      try await agent.waitUntilGone("first")
      let before = try agent.openDescriptors()

      let names = (0..<100).map { "many\($0)" }
      for name in names { try agent.writePod(name, Manifest.sleeper) }
      let pods = try await eventually("all pods are ready", within: .seconds(300)) {
        let pods = try await agent.pods()
        return pods.count == names.count && pods.allSatisfy(\.isReady) ? pods : nil
      }
      #expect(Set(pods.compactMap { $0.status?.podIP }).count == names.count)
      for name in names { agent.remove("\(name).yaml") }
      _ = try await eventually("all pods are gone", within: .seconds(300)) { try await agent.pods().isEmpty ? true : nil }
      for pod in pods { #expect(try await agent.traces(ofPod: pod.uid).isEmpty) }
      #expect(try await agent.engine.containers(ofPod: nil).isEmpty)
      _ = try await eventually("descriptors are closed") { try agent.openDescriptors() <= before + 5 ? true : nil }
    }
  }

  @Test func aFullDiskIsToldAndWaitedFor() async throws {
    let root = "/tmp/edgecore-full-\(getpid())"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    try await Shell.output("mount", ["-t", "tmpfs", "-o", "size=1m,nr_inodes=200", "tmpfs", root])
    defer {
      // The agent mounts the folder on itself, so there are two.
      while umount2(root, 2 /* MNT_DETACH */) == 0 {}
      rmdir(root)
    }
    try await Agent.with(.containerd, settings: ["modules.edged.rootDirectory=\(root)"]) { agent in
      let volume = "volumes: [{name: disk, emptyDir: {}}]"
      let mount = "volumeMounts: [{name: disk, mountPath: /disk}]"
      try agent.writePod("early", Manifest.sleeper, container: mount, spec: volume)
      let early = try await agent.waitUntilReady("early")
      let fillers = Self.fill(root)
      defer { for file in fillers { unlink(file) } }

      try agent.writePod("late", Manifest.sleeper, container: mount, spec: volume)
      _ = try await eventually("the pod says why it waits") {
        let waiting = try await agent.pod("late")?.status(of: "main")?.state?.waiting?.message ?? ""
        let texts = try await agent.events("late").compactMap(\.message) + [waiting]
        return texts.contains { $0.contains(root) && $0.contains("No space left") } ? true : nil
      }
      #expect(try await agent.pod("late")?.isReady == false)
      let still = try #require(try await agent.pod("early"))
      #expect(still.isReady)
      #expect(still.status(of: "main") == early.status(of: "main"))
      #expect(try await agent.exec("early", "true").code == 0)

      for file in fillers { unlink(file) }
      try await agent.waitUntilReady("late", within: .seconds(120))
    }
  }

  /// Takes all bytes and all inodes of a file system; returns the files it made.
  private static func fill(_ directory: String) -> [String] {
    var files: [String] = []
    for number in 0... {
      let file = directory + "/filler\(number)"
      let descriptor = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { return files }
      files.append(file)
      let block = [UInt8](repeating: 0, count: 4096)
      while write(descriptor, block, block.count) > 0 {}
      close(descriptor)
    }
    return files
  }
}

extension Agent {
  func openDescriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count }
}
