import FoundationEssentials
import Runtime

/// A pod without an agent: the engine calls that it takes at least, with what an agent gives to the engine.
struct BarePod: Sendable {
  let engine: Engine
  let sandbox: CRIPodSandboxConfig
  let container: CRIContainerConfig

  init(_ name: String, on engine: Engine) throws {
    self.engine = engine
    let uid = UUID().uuidString.lowercased()
    let identity = [RuntimeLabel.podName: name, RuntimeLabel.podNamespace: "default", RuntimeLabel.podUID: uid]
    let directory = "\(engine.directory)/bare/\(uid)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    func mount(_ name: String, at path: String) throws -> CRIMount {
      let file = directory + "/" + name
      try "# empty\n".write(toFile: file, atomically: false, encoding: .utf8)
      var mount = CRIMount()
      mount.hostPath = file
      mount.containerPath = path
      return mount
    }
    var namespaces = CRINamespaceOption()
    namespaces.network = .pod
    namespaces.pid = .container

    var sandbox = CRIPodSandboxConfig()
    sandbox.metadata.name = name
    sandbox.metadata.namespace = "default"
    sandbox.metadata.uid = uid
    sandbox.hostname = name
    sandbox.logDirectory = directory + "/log"
    sandbox.dnsConfig.servers = ["127.0.0.1"]
    sandbox.labels = identity.merging(["app": "bench"]) { $1 }
    sandbox.linux.cgroupParent = "/\(BarePod.cgroup(engine))/kubepods/besteffort/pod\(uid)"
    sandbox.linux.securityContext.namespaceOptions = namespaces
    sandbox.linux.securityContext.seccomp.profileType = .runtimeDefault
    sandbox.linux.resources.cpuShares = 2
    self.sandbox = sandbox

    var container = CRIContainerConfig()
    container.metadata.name = "main"
    container.image.userSpecifiedImage = Engine.image
    container.command = Agent.command
    container.mounts = [try mount("hosts", at: "/etc/hosts"), try mount("message", at: "/dev/termination-log")]
    container.labels = identity.merging([RuntimeLabel.containerName: "main"]) { $1 }
    container.annotations = [
      RuntimeAnnotation.containerHash: "0123456789abcdef", RuntimeAnnotation.restartCount: "0",
      RuntimeAnnotation.terminationMessagePath: "/dev/termination-log", RuntimeAnnotation.terminationMessagePolicy: "File",
      RuntimeAnnotation.podTerminationGracePeriod: "5",
    ]
    container.logPath = "main/0.log"
    container.linux.securityContext.namespaceOptions = namespaces
    container.linux.securityContext.seccomp.profileType = .unconfined
    container.linux.resources.cpuShares = 2
    container.linux.resources.oomScoreAdj = 1000
    try FileManager.default.createDirectory(atPath: sandbox.logDirectory + "/main", withIntermediateDirectories: true)
    self.container = container
  }

  /// The control group of all bare pods on an engine.
  static func cgroup(_ engine: Engine) -> String { String(engine.directory.split(separator: "/").last ?? "bench") }

  /// Returns once the engine said that the container is started.
  func start() async throws {
    let runtime = engine.runtime
    let id = try await runtime.runPodSandbox(sandbox, runtimeHandler: "")
    _ = try await runtime.podSandboxStatus(id)
    guard let image = try await runtime.imageStatus(Engine.image) else { throw Failure("the engine has no \(Engine.image)") }
    var config = container
    config.image.image = image.id
    let containerID = try await runtime.createContainer(config, inSandbox: id, sandboxConfig: sandbox)
    try await runtime.startContainer(containerID)
  }

  static func removeAll(on engine: Engine) async throws {
    let runtime = engine.runtime
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      for sandbox in try await runtime.listPodSandboxes(nil) {
        tasks.addTask {
          try await runtime.stopPodSandbox(sandbox.id)
          try await runtime.removePodSandbox(sandbox.id)
        }
      }
      try await tasks.waitForAll()
    }
  }
}
