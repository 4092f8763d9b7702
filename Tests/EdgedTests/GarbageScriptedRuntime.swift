import Runtime
import Synchronization

/// An engine that lists what a test gives it and notes what is removed; everything else is unsupported.
final class GarbageScriptedRuntime: ContainerRuntime {
  struct State {
    var containers: [CRIContainer] = []
    var sandboxes: [CRIPodSandbox] = []
    var calls: [String] = []
    var failing: Set<String> = []
  }

  let state: Mutex<State>
  let scheme = "scripted"
  let endpoint = "/dev/null"

  init(containers: [CRIContainer] = [], sandboxes: [CRIPodSandbox] = []) {
    state = Mutex(State(containers: containers, sandboxes: sandboxes))
  }

  var calls: [String] { state.withLock { $0.calls } }

  private func call(_ operation: String, _ id: String) throws {
    try state.withLock { state in
      state.calls.append("\(operation) \(id)")
      if state.failing.contains(id) { throw RuntimeError(.unknown, operation: operation, message: "busy") }
    }
  }

  func stopPodSandbox(_ id: String) async throws { try call("stop", id) }
  func removePodSandbox(_ id: String) async throws {
    try call("remove", id)
    state.withLock { $0.sandboxes.removeAll { $0.id == id } }
  }
  func listPodSandboxes(_ filter: CRIPodSandboxFilter?) async throws -> [CRIPodSandbox] { state.withLock { $0.sandboxes } }
  func removeContainer(_ id: String) async throws {
    try call("remove", id)
    state.withLock { $0.containers.removeAll { $0.id == id } }
  }
  func listContainers(_ filter: CRIContainerFilter?) async throws -> [CRIContainer] {
    state.withLock { state in
      state.containers.filter { container in
        (filter?.labelSelector ?? [:]).allSatisfy { container.labels[$0.key] == $0.value }
      }
    }
  }

  private func unsupported(_ operation: String = #function) -> RuntimeError {
    RuntimeError(.unsupported, operation: operation, message: "not scripted")
  }

  func version() async throws -> CRIVersionResponse { throw unsupported() }
  func status() async throws -> CRIRuntimeStatus { throw unsupported() }
  func features() async throws -> CRIRuntimeFeatures { throw unsupported() }
  func cgroupDriver() async throws -> CRICgroupDriver? { throw unsupported() }
  func runPodSandbox(_ config: CRIPodSandboxConfig, runtimeHandler: String) async throws -> String { throw unsupported() }
  func podSandboxStatus(_ id: String) async throws -> CRIPodSandboxStatus { throw unsupported() }
  func createContainer(
    _ config: CRIContainerConfig, inSandbox sandboxID: String, sandboxConfig: CRIPodSandboxConfig
  ) async throws -> String { throw unsupported() }
  func startContainer(_ id: String) async throws { throw unsupported() }
  func stopContainer(_ id: String, gracePeriod: Int64) async throws { throw unsupported() }
  func containerStatus(_ id: String) async throws -> CRIContainerStatus { throw unsupported() }
  func updateContainerResources(_ id: String, _ resources: CRILinuxContainerResources) async throws { throw unsupported() }
  func checkpoint(_ id: String, to file: String, timeout: Duration?) async throws { throw unsupported() }
  func reopenContainerLog(_ id: String) async throws { throw unsupported() }
  func execSync(_ id: String, command: [String], timeout: Duration?) async throws -> ExecResult { throw unsupported() }
  func exec(_ id: String, command: [String], options: StreamOptions) async throws -> any StreamSession { throw unsupported() }
  func attach(_ id: String, options: StreamOptions) async throws -> any StreamSession { throw unsupported() }
  func containerStats(_ id: String) async throws -> CRIContainerStats { throw unsupported() }
  func listContainerStats(_ filter: CRIContainerStatsFilter?) async throws -> [CRIContainerStats] { throw unsupported() }
  func imageStatus(_ reference: String) async throws -> CRIImage? { throw unsupported() }
  func pullImage(_ reference: String, auth: CRIAuthConfig?, sandboxConfig: CRIPodSandboxConfig?) async throws -> String {
    throw unsupported()
  }
  func listImages() async throws -> [CRIImage] { throw unsupported() }
  func removeImage(_ reference: String) async throws { throw unsupported() }
  func imageFsInfo() async throws -> CRIImageFsInfoResponse { throw unsupported() }
  func events() -> AsyncThrowingStream<RuntimeEvent, any Error> { AsyncThrowingStream { $0.finish() } }
  func shutdown() async {}
}
