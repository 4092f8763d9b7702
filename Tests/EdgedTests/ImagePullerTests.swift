import KubernetesAPI
import Runtime
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(2))) struct ImagePullerTests {
  let service = ImageScriptedService()
  let log = ImageEventLog()
  let clock = ImageTestClock()

  private func puller(
    _ node: NodeRegistryCredentials = NodeRegistryCredentials(configFolders: [], dockercfgFolders: []),
    _ change: (inout ImagePuller.Settings) -> Void = { _ in }
  ) -> ImagePuller {
    var settings = ImagePuller.Settings()
    change(&settings)
    let clock = clock
    return ImagePuller(service: service, events: log, nodeCredentials: node, settings: settings) { clock.now }
  }

  private func pod(_ uid: String = "u1") -> Pod {
    Pod(metadata: ObjectMeta(name: "p", namespace: "default", uid: uid), spec: PodSpec(containers: []))
  }

  private func ensure(
    _ puller: ImagePuller, _ image: String, _ policy: PullPolicy? = .ifNotPresent, pod uid: String = "u1",
    secrets: [RegistryCredentials] = []
  ) async throws -> PresentImage {
    var container = Container(name: "c", image: image)
    container.imagePullPolicy = policy
    return try await puller.ensureImage(
      for: container, fieldPath: "spec.containers{c}", pod: pod(uid), pullSecrets: secrets, sandboxConfig: nil)
  }

  @Test(arguments: [PullPolicy.ifNotPresent, .never])
  func aPresentImageCostsOneCall(policy: PullPolicy) async throws {
    await service.add("app:1", id: "sha256:1")
    let present = try await ensure(puller(), "app:1", policy)
    #expect(present.ref == "sha256:1")
    #expect(await service.calls == ["status app:1"])
    #expect(log.events == ["Normal Pulled Container image \"app:1\" already present on machine"])
  }

  @Test func pullsWhatIsMissing() async throws {
    let present = try await ensure(puller(), "app")
    #expect(present.ref == "sha256:app:latest")
    #expect(present.image.size == 1234)
    #expect(await service.calls == ["status app:latest", "pull app:latest", "status sha256:app:latest"])
    #expect(
      log.events == [
        "Normal Pulling Pulling image \"app\"",
        "Normal Pulled Successfully pulled image \"app\" in 0s (0s including waiting). Image size: 1234 bytes.",
      ])
  }

  @Test(arguments: [(PullPolicy.always, "app:1"), (nil, "app"), (nil, "app:latest")] as [(PullPolicy?, String)])
  func pullsAgain(policy: PullPolicy?, image: String) async throws {
    await service.add("app:1", id: "sha256:1")
    await service.add("app:latest", id: "sha256:2")
    _ = try await ensure(puller(), image, policy)
    #expect(await service.calls.first?.hasPrefix("pull ") == true)
  }

  @Test func neverPulls() async throws {
    let error = try await #require(throws: ImageError.self) { try await ensure(puller(), "app:1", .never) }
    #expect(error == ImageError(.errImageNeverPull, "Container image \"app:1\" is not present with pull policy of Never"))
    #expect(
      log.events == [
        "Warning ErrImageNeverPull Container image \"app:1\" is not present with pull policy of Never",
        "Warning Failed Error: ErrImageNeverPull",
      ])
  }

  @Test func refusesBadNames() async throws {
    let error = try await #require(throws: ImageError.self) { try await ensure(puller(), "app:") }
    #expect(error.reason == .invalidImageName)
    let message = "Failed to apply default image tag \"app:\": couldn't parse image name \"app:\": invalid reference format"
    #expect(log.events == ["Warning InspectFailed \(message)", "Warning Failed Error: InvalidImageName"])
    #expect(await service.calls == [])
  }

  @Test func tellsThatTheEngineFailed() async throws {
    await service.failStatus("no connection")
    let error = try await #require(throws: ImageError.self) { try await ensure(puller(), "app:1") }
    #expect(error == ImageError(.imageInspectError, "Failed to inspect image \"app:1\": no connection"))
  }

  @Test func backsOff() async throws {
    let puller = puller()
    var delay = Duration.seconds(10)
    for attempt in 0..<7 {
      await service.failPulls(["not found"])
      let failed = try await #require(throws: ImageError.self) { try await ensure(puller, "app:1") }
      #expect(failed.reason == .errImagePull)
      #expect(failed.message == "not found")
      #expect(failed.retryAt != nil)
      log.clear()
      clock.advance(delay - .seconds(1))
      let waiting = try await #require(throws: ImageError.self) { try await ensure(puller, "app:1") }
      #expect(waiting.reason == .imagePullBackOff, "attempt \(attempt)")
      #expect(waiting.message == "Back-off pulling image \"app:1\": ErrImagePull: not found")
      #expect(log.events == ["Normal BackOff Back-off pulling image \"app:1\"", "Warning Failed Error: ImagePullBackOff"])
      clock.advance(.seconds(1))
      delay = min(delay * 2, .seconds(300))
    }
    // Idle for more than ten minutes: it starts over.
    clock.advance(.seconds(600))
    await service.failPulls(["not found"])
    await #expect(throws: ImageError.self) { try await ensure(puller, "app:1") }
    clock.advance(.seconds(10))
    _ = try await ensure(puller, "app:1")
  }

  @Test func backsOffPerPodAndImage() async throws {
    let puller = puller()
    await service.failPulls(["not found"])
    await #expect(throws: ImageError.self) { try await ensure(puller, "app:1") }
    _ = try await ensure(puller, "app:2")
    _ = try await ensure(puller, "app:1", .always, pod: "u2")
    let error = try await #require(throws: ImageError.self) { try await ensure(puller, "app:1", .always) }
    #expect(error.reason == .imagePullBackOff)
    await puller.forget(podUID: "u1")
    _ = try await ensure(puller, "app:1", .always)
  }

  @Test(arguments: [
    (
      "RegistryUnavailable: no route", ImageError.Reason.registryUnavailable,
      "image pull failed for app:1 because the registry is unavailable: no route"
    ),
    (
      "SignatureValidationFailed", .signatureValidationFailed, "image pull failed for app:1 because the signature validation failed"
    ),
    ("manifest unknown", .errImagePull, "manifest unknown"),
  ])
  func namesTheReason(text: String, reason: ImageError.Reason, message: String) async throws {
    await service.failPulls([text])
    let error = try await #require(throws: ImageError.self) { try await ensure(puller(), "app:1") }
    #expect(error.reason == reason)
    #expect(error.message == message)
    #expect(
      log.events.suffix(2) == ["Warning Failed Failed to pull image \"app:1\": \(text)", "Warning Failed Error: \(reason.rawValue)"])
  }

  @Test func limitsTheRate() async throws {
    let puller = puller { $0.burst = 2 }
    for image in ["a", "b"] { _ = try await ensure(puller, image) }
    let error = try await #require(throws: ImageError.self) { try await ensure(puller, "c") }
    #expect(error.message == "pull QPS exceeded")
    clock.advance(.milliseconds(200))
    _ = try await ensure(puller, "d")
    await #expect(throws: ImageError.self) { try await ensure(puller, "e") }
  }

  @Test func triesLoginsInTheirOrder() async throws {
    let scratch = try LogScratch()
    try scratch.write("config.json", #"{"auths": {"example.com": {"username": "node", "password": "3"}}}"#)
    await service.accept(user: "node")
    let secrets = [
      RegistryCredentials(["example.com": RegistryLogin(username: "host", password: "1")]),
      RegistryCredentials(["example.com/team": RegistryLogin(username: "team", password: "2")]),
    ]
    let node = NodeRegistryCredentials(configFolders: [scratch.path], dockercfgFolders: [])
    _ = try await ensure(puller(node), "example.com/team/app:1", secrets: secrets)
    let image = "pull example.com/team/app:1"
    #expect(await service.calls.dropFirst().dropLast() == ["\(image) as team:2", "\(image) as host:1", "\(image) as node:3"])

    await service.accept(user: "else")
    let error = try await #require(throws: ImageError.self) {
      try await ensure(puller(node), "example.com/team/app:1", .always, secrets: secrets)
    }
    #expect(error.message == "[team is denied, host is denied, node is denied]")
  }

  @Test func whoWaitedFindsTheImagePresent() async throws {
    let puller = puller()
    await service.holdPulls()
    async let first = ensure(puller, "app:1", pod: "u1")
    while await !service.calls.contains("pull app:1") { await Task.yield() }
    async let second = ensure(puller, "app:1", pod: "u2")
    while puller.waitingPulls < 1 { await Task.yield() }
    await service.releasePulls()
    #expect(try await [first.ref, second.ref] == ["sha256:app:1", "sha256:app:1"])
    #expect(await service.calls.filter { $0 == "pull app:1" }.count == 1)
    #expect(log.events.last == "Normal Pulled Container image \"app:1\" already present on machine")
  }

  @Test func whoGivesUpStopsNobodyElse() async throws {
    let puller = puller()
    await service.holdPulls()
    let pulling = Task { try await ensure(puller, "app:1", pod: "u1") }
    while await !service.calls.contains("pull app:1") { await Task.yield() }
    let waiting = Task { try await ensure(puller, "app:1", pod: "u2") }
    while puller.waitingPulls < 1 { await Task.yield() }
    let last = Task { try await ensure(puller, "app:1", pod: "u3") }
    while puller.waitingPulls < 2 { await Task.yield() }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    #expect(puller.waitingPulls == 1)
    // The one who pulls gives up, too: the last one pulls itself.
    pulling.cancel()
    await #expect(throws: CancellationError.self) { try await pulling.value }
    await service.releasePulls()
    #expect(try await last.value.ref == "sha256:app:1")
    #expect(await service.calls.filter { $0 == "pull app:1" }.count == 2)
    #expect(!log.events.contains { $0.hasPrefix("Warning") })
  }

  @Test func pullsInParallelIfAllowed() async throws {
    let puller = puller { $0.parallelPulls = 2 }
    await service.holdPulls()
    let tasks = ["a", "b", "c"].map { image in Task { try await ensure(puller, image) } }
    while puller.waitingPulls < 1 { await Task.yield() }
    while await service.calls.filter({ $0.hasPrefix("pull") }).count < 2 { await Task.yield() }
    #expect(await service.calls.filter { $0.hasPrefix("pull") }.count == 2)
    await service.releasePulls()
    for task in tasks { _ = try await task.value }
  }

  @Test(arguments: [
    (0, "0s"), (15, "15ms"), (1000, "1s"), (1200, "1.2s"), (1234, "1.234s"), (1001, "1.001s"), (60000, "1m0s"),
    (3_725_040, "1h2m5.04s"),
  ])
  func writesDurations(milliseconds: Int, text: String) {
    #expect(PullDuration(.milliseconds(milliseconds)).description == text)
  }
}
