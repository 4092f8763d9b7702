import Curl
import Foundation
import Glibc
import Runtime

/// A private containerd, started by hack/engine.sh. It goes down with this process at the latest.
struct CRIEngine: Sendable {
  let folder: String
  let runtime: CRIRuntime
  let http: HTTPClient

  var socketPath: String { folder + "/containerd.sock" }

  /// The one that the tests share.
  static let shared = Task { try await CRIEngine.start() }

  /// Why there is none here; nil: there is.
  static let obstacle: String? = {
    guard geteuid() == 0 else { return "an engine needs root" }
    for path in ["/usr/bin/containerd", "/usr/bin/ctr", "/usr/lib/cni/bridge"] where access(path, X_OK) != 0 {
      return "no \(path)"
    }
    return access("/usr/sbin/runc", X_OK) == 0 || access("/usr/bin/runc", X_OK) == 0 ? nil : "no runc"
  }()

  static let isAvailable: Bool = {
    if let obstacle { print("Tests with a real containerd are skipped: \(obstacle)") }
    return obstacle == nil
  }()

  struct Failure: Error {
    var message: String
  }

  static func start() async throws -> CRIEngine {
    var template = Array("/tmp/edgecore-cri-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Failure(message: "mkdtemp failed: \(errno)") }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try await script(["up", "containerd", folder])
    let http = HTTPClient()
    return CRIEngine(folder: folder, runtime: CRIRuntime(socketPath: folder + "/containerd.sock", http: http), http: http)
  }

  func stop() async throws {
    await runtime.shutdown()
    try await Self.script(["down", folder])
  }

  /// Ends containerd itself with SIGKILL; its containers go on.
  func kill() throws {
    let text = try String(contentsOfFile: folder + "/containerd.pid", encoding: .utf8)
    guard let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) else { throw Failure(message: "no pid") }
    Glibc.kill(pid, SIGKILL)
  }

  /// Starts a new one in place of the killed one, without its pods.
  func restart() async throws { try await Self.script(["up", "containerd", folder]) }

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

  static let image = "docker.io/library/busybox:1.36"

  func sandboxConfig(_ name: String) -> CRIPodSandboxConfig {
    var config = CRIPodSandboxConfig()
    config.metadata.name = name
    config.metadata.uid = "uid-\(name)"
    config.metadata.namespace = "default"
    config.hostname = name
    config.logDirectory = "\(folder)/root/logs/\(name)"
    config.labels = [RuntimeLabel.podName: name]
    config.linux.securityContext.namespaceOptions.network = .pod
    config.linux.securityContext.namespaceOptions.pid = .container
    return config
  }

  func containerConfig(_ command: [String], stdin: Bool = false) -> CRIContainerConfig {
    var config = CRIContainerConfig()
    config.metadata.name = "main"
    config.image.image = Self.image
    config.command = command
    config.labels = [RuntimeLabel.containerName: "main"]
    config.logPath = "main.log"
    config.stdin = stdin
    config.linux.resources.cpuShares = 100
    return config
  }

  /// Runs `body` with a pod of one running container, and removes it afterwards.
  func withContainer<Result>(
    _ name: String, _ command: [String] = ["sleep", "3600"], stdin: Bool = false, _ body: (String) async throws -> Result
  ) async throws -> Result {
    let config = sandboxConfig(name)
    let sandbox = try await runtime.runPodSandbox(config, runtimeHandler: "")
    let result: Swift.Result<Result, any Error>
    do {
      let container = try await runtime.createContainer(
        containerConfig(command, stdin: stdin), inSandbox: sandbox, sandboxConfig: config)
      try await runtime.startContainer(container)
      result = .success(try await body(container))
    } catch {
      result = .failure(error)
    }
    try await runtime.stopPodSandbox(sandbox)
    try await runtime.removePodSandbox(sandbox)
    return try result.get()
  }
}
