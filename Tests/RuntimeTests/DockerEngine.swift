import Curl
import Foundation
import Glibc
import Runtime

/// A private dockerd, started by hack/engine.sh. It goes down with this process at the latest.
struct DockerEngine: Sendable {
  static let image = "docker.io/library/busybox:1.36"

  let folder: String
  let runtime: DockerRuntime

  var socketPath: String { folder + "/docker.sock" }

  /// The one that the tests share.
  static let shared = Task { try await DockerEngine.start() }

  /// Why there is none here; nil: there is.
  static let obstacle: String? = {
    guard geteuid() == 0 else { return "an engine needs root" }
    let folders = ["/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"]
    for tool in ["dockerd", "runc", "busybox"] where !folders.contains(where: { access($0 + tool, X_OK) == 0 }) {
      return "no \(tool)"
    }
    return nil
  }()

  static let isAvailable: Bool = {
    if let obstacle { print("Tests with a real dockerd are skipped: \(obstacle)") }
    return obstacle == nil
  }()

  struct Failure: Error {
    var message: String
  }

  static func start() async throws -> DockerEngine {
    var template = Array("/tmp/edgecore-dk-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(message: "mkdtemp failed: \(errno)") }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try await script(["up", "docker", folder])
    return DockerEngine(folder: folder, runtime: connect(folder))
  }

  /// A runtime of its own, which may be shut down.
  func another() -> DockerRuntime { Self.connect(folder) }

  private static func connect(_ folder: String) -> DockerRuntime {
    DockerRuntime(socketPath: folder + "/docker.sock", http: HTTPClient(), requestTimeout: .seconds(60))
  }

  private static func script(_ arguments: [String]) async throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = root.appendingPathComponent("hack/engine.sh")
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment
    environment["ENGINE_OWNER"] = "\(getpid())"
    process.environment = environment
    process.standardOutput = FileHandle.nullDevice
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    guard status == 0 else { throw Failure(message: "engine.sh \(arguments) ended with \(status)") }
  }

  // MARK: Pods

  func sandboxConfig(_ name: String) -> CRIPodSandboxConfig {
    .with {
      $0.metadata = .with {
        $0.name = name
        $0.namespace = "default"
        $0.uid = "uid-\(name)"
      }
      $0.hostname = name
      $0.logDirectory = "\(folder)/logs/default_\(name)"
      $0.labels = [
        "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": "uid-\(name)", "app": name,
      ]
      $0.annotations = ["note": "of \(name)"]
      $0.dnsConfig = .with {
        $0.servers = ["10.96.0.10"]
        $0.searches = ["default.svc.cluster.local", "svc.cluster.local"]
        $0.options = ["ndots:5"]
      }
      $0.linux.securityContext.namespaceOptions.pid = .container
      $0.linux.securityContext.seccomp.profileType = .runtimeDefault
    }
  }

  func containerConfig(_ name: String, _ command: [String]) -> CRIContainerConfig {
    .with {
      $0.metadata.name = name
      $0.image.image = Self.image
      $0.command = command
      $0.logPath = "\(name)/0.log"
      $0.labels = ["io.kubernetes.container.name": name]
      $0.annotations = ["io.kubernetes.container.restartCount": "0"]
      $0.linux.securityContext.namespaceOptions.pid = .container
      $0.linux.securityContext.seccomp.profileType = .runtimeDefault
      $0.linux.resources.oomScoreAdj = 1000
    }
  }

  /// Runs `body` with a sandbox that is gone afterwards.
  func withPod<Value: Sendable>(
    _ name: String, change: (inout CRIPodSandboxConfig) -> Void = { _ in }, _ body: (Pod) async throws -> Value
  ) async throws -> Value {
    var config = sandboxConfig(name)
    change(&config)
    let pod = Pod(engine: self, config: config, id: try await runtime.runPodSandbox(config, runtimeHandler: ""))
    let result: Result<Value, any Error>
    do { result = .success(try await body(pod)) } catch { result = .failure(error) }
    try await runtime.stopPodSandbox(pod.id)
    try await runtime.removePodSandbox(pod.id)
    return try result.get()
  }

  struct Pod: Sendable {
    let engine: DockerEngine
    let config: CRIPodSandboxConfig
    let id: String

    func create(_ name: String, _ command: [String], change: (inout CRIContainerConfig) -> Void = { _ in }) async throws -> String {
      var container = engine.containerConfig(name, command)
      change(&container)
      return try await engine.runtime.createContainer(container, inSandbox: id, sandboxConfig: config)
    }

    func start(_ name: String, _ command: [String], change: (inout CRIContainerConfig) -> Void = { _ in }) async throws -> String {
      let container = try await create(name, command, change: change)
      try await engine.runtime.startContainer(container)
      return container
    }

    /// Starts a container and waits for its end.
    func run(_ name: String, _ command: [String], change: (inout CRIContainerConfig) -> Void = { _ in }) async throws
      -> CRIContainerStatus
    {
      var events = engine.runtime.events().makeAsyncIterator()
      // The subscription stands.
      _ = try await events.next()
      let container = try await start(name, command, change: change)
      while let event = try await events.next() {
        if case .exited(container, _) = event { break }
      }
      return try await engine.runtime.containerStatus(container)
    }
  }

  // MARK: The engine itself, past the runtime

  /// Sends a request of a test's own and returns the answer's status and text.
  func raw(_ method: String, _ path: String, json: String? = nil) async throws -> (status: Int, text: String) {
    let http = HTTPClient()
    var request = HTTPRequest(method, "http://docker/v1.41\(path)", unixSocketPath: socketPath)
    if let json {
      request.headers = [HTTPField("Content-Type", "application/json")]
      request.body = .bytes(Array(json.utf8))
    }
    let response = try await http.execute(request)
    let text = String(decoding: try await response.body.collect(upTo: 1 << 24), as: UTF8.self)
    await http.shutdown()
    return (response.status, text)
  }

  func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
