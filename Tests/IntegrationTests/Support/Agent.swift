import CloudSimulator
import Curl
import FoundationEssentials
import Glibc
import KubernetesAPI
import LocalAPI
import Subprocess
import Testing
import YAML

/// A real edgecore process with a state of its own, on a given engine.
final class Agent: Sendable {
  let engine: Engine
  let directory: String
  let node: String
  /// The cloud that the agent joins; nil for one without.
  private let cloud: CloudSimulator?
  let http = HTTPClient()
  /// Of the node's API, on 127.0.0.1.
  let port: UInt16
  /// nil: the host's.
  let clock: SteppedClock?
  private let process: AgentProcess

  var socket: String { directory + "/api.sock" }
  var manifests: String { directory + "/manifests" }
  var root: String { directory + "/kubelet" }
  var logs: String { directory + "/log" }
  /// The database's folder.
  var store: String { directory + "/store" }
  var cgroup: String { "/edgecore-test-\(node)" }

  /// Starts an agent, gives it to `body`, and ends it with everything that is left of its pods.
  static func with(
    _ kind: Engine.Kind, settings: [String] = [], _ body: (Agent) async throws -> Void
  ) async throws {
    try await Engine.exclusively(kind) { try await with($0, settings: settings, body) }
  }

  static func with(
    _ engine: Engine, settings: [String] = [], cloud: CloudSimulator? = nil, hasSteppedClock: Bool = false,
    _ body: (Agent) async throws -> Void
  ) async throws {
    let agent = try Agent(engine, settings: settings, cloud: cloud, hasSteppedClock: hasSteppedClock)
    do {
      try await agent.start()
      try await body(agent)
    } catch {
      await agent.cleanUp()
      throw error
    }
    await agent.cleanUp()
  }

  private init(_ engine: Engine, settings: [String], cloud: CloudSimulator?, hasSteppedClock: Bool) throws {
    self.engine = engine
    self.cloud = cloud
    node = "n" + String(UInt32.random(in: 0...UInt32.max), radix: 16)
    directory = "/tmp/edgecore-agent-\(node)"
    port = try FreePort.find()
    for name in ["manifests", "kubelet", "log", "containers", "store"] {
      try FileManager.default.createDirectory(atPath: directory + "/" + name, withIntermediateDirectories: true)
    }
    let configuration = """
      apiVersion: edgecore.config.kubeedge.io/v1alpha2
      kind: EdgeCore
      apiSocket: \(directory)/api.sock
      database:
        dataSource: \(directory)/store/edgecore.db
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
            containerRuntimeEndpoint: \(engine.endpoint)
            imageServiceEndpoint: \(engine.endpoint)
            cgroupRoot: /edgecore-test-\(node)
            readOnlyPort: \(port)
        eventBus:
          enable: false
        deviceTwin:
          dmiSockPath: \(directory)
      """
    try configuration.write(toFile: directory + "/edgecore.yaml", atomically: true, encoding: .utf8)
    clock = hasSteppedClock ? try SteppedClock(below: directory) : nil
    process = AgentProcess(
      arguments: ["--config", directory + "/edgecore.yaml"] + settings.flatMap { ["--set", $0] }, log: directory + "/edgecore.log",
      environment: clock?.environment ?? [])
  }

  // MARK: The process

  func start() async throws {
    try process.start()
    _ = try await eventually("the agent answers") { try await self.get("/v1/pods") }
  }

  /// Sends a signal and waits for the end. Returns the exit code, or 128 + the signal that ended it.
  @discardableResult
  func end(_ signal: Int32 = SIGTERM) async throws -> Int32 { try await process.end(signal) }

  /// Ends it with SIGKILL and starts it again.
  func killAndStart() async throws {
    try await end(SIGKILL)
    try await start()
  }

  var pid: pid_t { process.pid }

  /// Bytes.
  var residentMemory: Int {
    let pages = (text(of: "/proc/\(pid)/statm") ?? "").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * Int(getpagesize())
  }

  var log: String { text(of: directory + "/edgecore.log") ?? "" }

  private func cleanUp() async {
    if !process.isRunning { try? await start() }
    for file in (try? FileManager.default.contentsOfDirectory(atPath: manifests)) ?? [] {
      unlink(manifests + "/" + file)
    }
    for pod in cloud?.list("Pod") ?? [] {
      guard let metadata = pod["metadata"], let name = metadata["name"]?.string else { continue }
      try? cloud?.delete("Pod", namespace: metadata["namespace"]?.string, name: name, gracePeriod: 0)
    }
    do {
      _ = try await eventually("all pods are gone", within: .seconds(90)) { try await self.pods().isEmpty ? true : nil }
    } catch {
      Issue.record("\(error)\n\(log.suffix(4000))")
    }
    _ = try? await end()
    await http.shutdown()
    for line in (text(of: "/proc/self/mountinfo") ?? "").trimmingLines().reversed() {
      let path = line.split(separator: " ")[4]
      if path.hasPrefix(directory) { umount2(String(path), 2 /* MNT_DETACH */) }
    }
    try? FileManager.default.removeItem(atPath: directory)
    // The groups that pods' groups are in stay for the next start of an agent; here there is none.
    _ = try? await Shell.run(
      "find", ["/sys/fs/cgroup", "-mindepth", "2", "-depth", "-path", "*\(cgroup)*", "-type", "d", "-exec", "rmdir", "{}", ";"])
  }

  // MARK: Manifests

  func write(_ name: String, _ manifest: String) throws {
    // Renamed into place: the agent sees whole files only.
    let hidden = directory + "/.\(name).new"
    try manifest.write(toFile: hidden, atomically: false, encoding: .utf8)
    rename(hidden, manifests + "/\(name)")
  }

  /// Writes the manifest of `Manifest.pod`, to a file of the pod's name.
  func writePod(_ name: String, _ script: String, container: String = "", spec: String = "", metadata: String = "") throws {
    try write("\(name).yaml", Manifest.pod(name, script, container: container, spec: spec, metadata: metadata))
  }

  func remove(_ name: String) { unlink(manifests + "/" + name) }

  // MARK: What it says

  func get(_ path: String) async throws -> JSONValue {
    var request = HTTPRequest("GET", "http://edgecore" + path, unixSocketPath: socket)
    request.timeout = .seconds(20)
    let response = try await http.execute(request)
    let body = try await response.body.collect(upTo: 64 << 20)
    guard response.status == 200 else { throw Shell.Failure(description: "\(path): \(String(decoding: body, as: UTF8.self))") }
    return try JSONValue(json: body)
  }

  func pods() async throws -> [Pod] { try await get("/v1/pods")["items"]?.decode() ?? [] }

  func problems() async throws -> [ManifestProblem] { try await get("/v1/pods")["problems"]?.decode() ?? [] }

  /// The pod whose manifest has that name; the node's name is appended to it.
  func pod(_ name: String) async throws -> Pod? { try await pods().first { $0.name == "\(name)-\(node)" } }

  func events(_ name: String) async throws -> [Event] {
    try await get("/v1/events").decode([Event].self).filter { $0.involvedObject.name == "\(name)-\(node)" }
  }

  /// Waits until the pod is as wanted, and returns it.
  @discardableResult
  func wait(
    for name: String, _ what: String, within limit: Duration = .seconds(60), _ isSo: (Pod) -> Bool
  ) async throws -> Pod {
    do {
      return try await eventually("pod \(name) \(what)", within: limit) {
        guard let pod = try await self.pod(name), isSo(pod) else { return nil }
        return pod
      }
    } catch {
      let now = try? await pod(name)
      let status = (try? JSONValue(encoding: now?.status)).map { $0.jsonText() } ?? "none"
      throw Shell.Failure(description: "\(error)\nstatus: \(status)\n\(log.suffix(3000))")
    }
  }

  @discardableResult
  func waitUntilReady(_ name: String, within limit: Duration = .seconds(60)) async throws -> Pod {
    try await wait(for: name, "is ready", within: limit) { $0.isReady }
  }

  func waitUntilGone(_ name: String, within limit: Duration = .seconds(60)) async throws {
    do {
      _ = try await eventually("pod \(name) is gone", within: limit) { try await self.pod(name) == nil ? true : nil }
    } catch {
      throw Shell.Failure(description: "\(error)\n\(log.suffix(3000))")
    }
  }

  /// The pod of that name that the cloud placed here.
  func cloudPod(_ name: String) async throws -> Pod? { try await pods().first { $0.name == name } }

  @discardableResult
  func wait(
    forCloudPod name: String, _ what: String, within limit: Duration = .seconds(60), _ isSo: (Pod) -> Bool
  ) async throws -> Pod {
    do {
      return try await eventually("pod \(name) \(what)", within: limit) {
        guard let pod = try await self.cloudPod(name), isSo(pod) else { return nil }
        return pod
      }
    } catch {
      throw Shell.Failure(description: "\(error)\n\(log.suffix(3000))")
    }
  }

  func waitUntilNoPods() async throws {
    _ = try await eventually("no pods are left") { try await self.pods().isEmpty ? true : nil }
  }

  /// Waits for an event of a pod of the cloud.
  @discardableResult
  func eventsOfCloudPod(_ name: String, _ reason: String) async throws -> Event {
    try await eventually("pod \(name) has the event \(reason)") {
      try await self.get("/v1/events").decode([Event].self).first { $0.involvedObject.name == name && $0.reason == reason }
    }
  }

  /// Runs the real edgectl.
  func edgectl(_ arguments: String...) async throws -> Shell.Result {
    try await Shell.run(Checkout.programs + "/edgectl", arguments + ["--socket", socket])
  }

  /// Runs a command in a container; returns what it printed, both streams.
  func exec(_ pod: String, container: String? = nil, _ command: String...) async throws -> Shell.Result {
    let target = container.map { ["-c", $0] } ?? []
    return try await Shell.run(
      Checkout.programs + "/edgectl", ["exec", "--socket", socket] + target + ["\(pod)-\(node)", "--"] + command)
  }

  /// What is left on the node of a pod with that UID: paths, mounts and cgroups.
  func traces(ofPod uid: String) async throws -> [String] {
    var traces = (text(of: "/proc/self/mountinfo") ?? "").trimmingLines().filter { $0.contains(uid) }
    traces += try await Shell.found("/sys/fs/cgroup", "-maxdepth", "5", "-name", "*\(uid)*")
    traces += try await Shell.found(root, logs, directory + "/containers", "-name", "*\(uid)*")
    return traces
  }
}

extension Pod {
  var isReady: Bool { status?.conditions?.first { $0.type == "Ready" }?.status == "True" }

  func status(of container: String) -> ContainerStatus? {
    ((status?.containerStatuses ?? []) + (status?.initContainerStatuses ?? [])).first { $0.name == container }
  }
}
