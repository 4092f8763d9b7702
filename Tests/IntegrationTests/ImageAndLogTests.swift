import FoundationEssentials
import Glibc
import KubernetesAPI
import Testing

/// Images from registries, and logs that grow.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct ImageAndLogTests {
  private static func waiting(_ pod: Pod) -> ContainerStateWaiting? { pod.status(of: "main")?.state?.waiting }

  @Test(arguments: Engine.Kind.allCases)
  func anImageThatDoesNotExistHoldsUpItsPodOnly(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      let missing = "127.0.0.1:1/none:1"
      try agent.writePod("good", Manifest.sleeper)
      try agent.write("lost.yaml", Manifest.pod("lost", Manifest.sleeper).replacing(Manifest.image, with: missing))
      let failed = try await agent.wait(for: "lost", "can't pull") { Self.waiting($0)?.reason == "ErrImagePull" }
      #expect(Self.waiting(failed)?.message?.contains(missing) == true)
      #expect(failed.status?.phase == .pending)
      let pod = try await agent.wait(for: "lost", "backs off") { Self.waiting($0)?.reason == "ImagePullBackOff" }
      #expect(Self.waiting(pod)?.message?.hasPrefix("Back-off pulling image \"\(missing)\"") == true)
      let reasons = Set(try await agent.events("lost").compactMap(\.reason))
      #expect(reasons.isSuperset(of: ["Pulling", "Failed", "BackOff"]))
      let good = try await agent.waitUntilReady("good")
      #expect(good.status(of: "main")?.restartCount == 0)

      agent.remove("lost.yaml")
      try await agent.waitUntilGone("lost")
      #expect(try await agent.traces(ofPod: pod.uid).isEmpty)
      #expect(try await agent.engine.containers(ofPod: pod.uid).isEmpty)
      #expect(try await agent.pod("good")?.isReady == true)
    }
  }

  @Test(.enabled(if: Registry.canRun, "needs docker-registry and htpasswd"), arguments: Engine.Kind.allCases)
  func theNodesLoginOpensARegistry(kind: Engine.Kind) async throws {
    try await Registry.with { registry in
      try await Agent.with(kind) { agent in
        let image = try await registry.push(from: agent.engine)
        try agent.write(
          "private.yaml",
          Manifest.pod("private", Manifest.sleeper, container: "imagePullPolicy: Always").replacing(Manifest.image, with: image))
        let refused = try await agent.wait(for: "private", "is refused") { Self.waiting($0)?.reason == "ErrImagePull" }
        #expect(Self.waiting(refused)?.message?.isEmpty == false)

        try registry.dockerConfig.write(toFile: agent.root + "/config.json", atomically: true, encoding: .utf8)
        let pod = try await agent.waitUntilReady("private", within: .seconds(90))
        #expect(pod.status(of: "main")?.imageID.isEmpty == false)
        let events = try await agent.events("private")
        #expect(events.contains { $0.reason == "Pulled" && $0.message?.contains("Successfully pulled image") == true })
        let login = Data("\(registry.user):\(registry.password)".utf8).base64EncodedString()
        for secret in [registry.password, login] {
          #expect(!agent.log.contains(secret))
          #expect(!events.contains { $0.message?.contains(secret) == true })
        }
      }
    }
  }

  @Test func followersLoseNoLineWhenALogIsRotated() async throws {
    let kubelet = "modules.edged.tailoredKubeletConfig."
    let settings = ["containerLogMaxSize=32Ki", "containerLogMonitorInterval=1s"].map { kubelet + $0 }
    try await Agent.with(.containerd, settings: settings) { agent in
      let lines = 4000
      // About 35 KiB a second, in bursts.
      let script = """
        sleep 2
        i=0
        while [ $i -lt \(lines) ]; do
          echo "line $i of a log that is long enough to be rotated while it is read"
          i=$((i+1))
          [ $((i % 50)) != 0 ] || usleep 100000
        done
        """
      try agent.writePod("talker", script, spec: "restartPolicy: Never")
      let pod = try await agent.wait(for: "talker", "runs") { $0.status(of: "main")?.state?.running != nil }
      let followed = try await agent.edgectl("logs", "-f", "talker-\(agent.node)")
      #expect(followed.code == 0, "\(followed.error)")
      let numbers = followed.output.trimmingLines().compactMap { Int($0.split(separator: " ").dropFirst().first ?? "") }
      #expect(numbers.count == lines)
      #expect(numbers == Array(0..<lines))
      let files = try await Shell.found(agent.logs, "-path", "*\(pod.uid)*", "-name", "0.log.*")
      #expect(!files.isEmpty)
      #expect(files.count <= 4)
    }
  }
}
