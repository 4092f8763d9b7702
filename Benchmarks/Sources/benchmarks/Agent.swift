import CloudSimulator
import Curl
import Foundation
import KubernetesAPI

/// A real agent's process with a state of its own.
final class Agent: Sendable {
  static let node = "bench"
  /// What the pods' containers run: ends at once when it is asked to.
  static let command = ["sh", "-c", "trap exit TERM; sleep 1000000 & wait"]

  let directory: String
  let process: ChildProgram
  private let http = HTTPClient()
  var manifests: String { directory + "/manifests" }
  var log: String { directory + "/edgecore.log" }

  /// - Parameter directory: Its configuration, as `configure` wrote it.
  private init(_ program: String, _ directory: String) throws {
    self.directory = directory
    process = try ChildProgram(program, ["--config", directory + "/edgecore.yaml"], output: directory + "/edgecore.log")
  }

  private static func cgroup(_ directory: String) -> String { "/" + URL(fileURLWithPath: directory).lastPathComponent }

  /// Writes what an agent needs below `directory`.
  static func configure(_ directory: String, endpoint: String, cloud: CloudSimulator? = nil) throws {
    for name in ["manifests", "new", "kubelet", "log", "containers"] {
      try FileManager.default.createDirectory(atPath: directory + "/" + name, withIntermediateDirectories: true)
    }
    let configuration = """
      apiVersion: edgecore.config.kubeedge.io/v1alpha2
      kind: EdgeCore
      apiSocket: \(directory)/api.sock
      database:
        dataSource: \(directory)/edgecore.db
      modules:
        edgeHub:
          enable: \(cloud != nil)
          httpServer: \(cloud?.httpServer ?? "https://127.0.0.1:1")
          token: \(cloud?.token ?? "none")
          tlsCaFile: \(directory)/pki/ca.crt
          tlsCertFile: \(directory)/pki/server.crt
          tlsPrivateKeyFile: \(directory)/pki/server.key
          bootstrapFile: \(directory)/bootstrap.conf
          websocket:
            server: \(cloud?.websocketServer ?? "127.0.0.1:1")
        edged:
          hostnameOverride: \(node)
          rootDirectory: \(directory)/kubelet
          containerLogsDir: \(directory)/containers
          podSandboxImage: docker.io/kubeedge/pause:3.6
          tailoredKubeletConfig:
            staticPodPath: \(directory)/manifests
            podLogsDir: \(directory)/log
            containerRuntimeEndpoint: \(endpoint)
            imageServiceEndpoint: \(endpoint)
            cgroupRoot: \(cgroup(directory))
        eventBus:
          enable: false
        deviceTwin:
          dmiSockPath: \(directory)
      """
    try configuration.write(toFile: directory + "/edgecore.yaml", atomically: true, encoding: .utf8)
  }

  /// Starts an agent, gives it to `body`, and ends it. Its pods end with their engine, which has to be down when `cleanUp` is called.
  static func with<Value>(
    _ program: String, _ engine: Engine, in directory: String, cloud: CloudSimulator? = nil, _ body: (Agent) async throws -> Value
  ) async throws -> Value {
    try configure(directory, endpoint: engine.endpoint, cloud: cloud)
    let agent = try Agent(program, directory)
    let result: Result<Value, any Error>
    do {
      _ = try await eventually("the agent answers", within: .seconds(30)) { try? await agent.pods() }
      result = .success(try await body(agent))
    } catch {
      result = .failure(error)
    }
    await agent.process.stop()
    await agent.http.shutdown()
    if case .failure = result {
      let log = (try? String(contentsOfFile: agent.log, encoding: .utf8)) ?? ""
      progress("--- the end of the agent's log\n\(log.suffix(3000))")
    }
    return try result.get()
  }

  /// Runs `body` with a folder for an agent, and then removes it with what the agent left elsewhere.
  static func withDirectory<Value>(_ body: (String) async throws -> Value) async throws -> Value {
    let directory = "/tmp/edgecore-bench-\(getpid())-agent"
    let result: Result<Value, any Error>
    do { result = .success(try await body(directory)) } catch { result = .failure(error) }
    if access(directory, F_OK) == 0 {
      try await ChildProgram.run(
        AgentProgram.root + "/hack/clean-node.sh",
        [
          "--root", directory + "/kubelet", "--logs", directory + "/log", "--container-logs", directory + "/containers", "--cgroup",
          cgroup(directory),
        ])
      try FileManager.default.removeItem(atPath: directory)
    }
    return try result.get()
  }

  // MARK: Pods

  private struct Answer: Decodable {
    var items: [Pod]
  }

  func pods() async throws -> [Pod] {
    var request = HTTPRequest("GET", "http://edgecore/v1/pods", unixSocketPath: directory + "/api.sock")
    request.timeout = .seconds(20)
    let response = try await http.execute(request)
    let body = try await response.body.collect(upTo: 64 << 20)
    guard response.status == 200 else { throw Failure("the agent answered \(response.status): \(String(decoding: body, as: UTF8.self))") }
    return try JSONDecoder().decode(Answer.self, from: Data(body)).items
  }

  /// Writes manifests beside the agent's folder, from where they can be moved into it at once.
  func write(_ names: [String]) throws {
    for name in names {
      let manifest = """
        apiVersion: v1
        kind: Pod
        metadata:
          name: \(name)
          labels: {app: bench}
        spec:
          terminationGracePeriodSeconds: 5
          containers:
            - name: main
              image: \(Engine.image)
              command: ["\(Self.command.joined(separator: "\", \""))"]
        """
      try manifest.write(toFile: "\(directory)/new/\(name).yaml", atomically: false, encoding: .utf8)
    }
  }

  /// Moves written manifests to where the agent sees them.
  func show(_ names: [String]) throws {
    for name in names {
      guard rename("\(directory)/new/\(name).yaml", "\(manifests)/\(name).yaml") == 0 else { throw Failure("rename of \(name) failed") }
    }
  }

  /// Takes all manifests away and waits until their pods are gone.
  func removeAll() async throws {
    for file in try FileManager.default.contentsOfDirectory(atPath: manifests) { unlink(manifests + "/" + file) }
    _ = try await eventually("all pods are gone") { try await pods().isEmpty ? true : nil }
  }

  func waitUntilRunning(_ count: Int, within limit: Duration = .seconds(300)) async throws {
    _ = try await eventually("\(count) pods run", within: limit) {
      try await pods().count { $0.status?.phase == .running } == count ? true : nil
    }
  }
}
