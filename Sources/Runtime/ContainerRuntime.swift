/// A container engine in the words of the Kubernetes Container Runtime Interface v1.
///
/// Both engines, containerd (`CRIRuntime`) and Docker (`DockerRuntime`), are behind this protocol; who runs pods never knows
/// which one is below. All calls are safe to make concurrently, and end with `CancellationError` when their task is cancelled.
/// Failures are `RuntimeError`s.
public protocol ContainerRuntime: ImageService {
  /// `containerd` or `docker`: the scheme of container IDs in a pod's status (`containerd://<id>`).
  var scheme: String { get }

  /// The socket's path, for messages.
  var endpoint: String { get }

  func version() async throws -> CRIVersionResponse
  /// Whether the engine (`RuntimeReady`) and its network (`NetworkReady`) work.
  func status() async throws -> CRIRuntimeStatus
  /// What the engine can do beyond what all engines can.
  func features() async throws -> CRIRuntimeFeatures
  /// The cgroup driver the engine works with; nil if it doesn't say.
  func cgroupDriver() async throws -> CRICgroupDriver?

  /// Creates and starts a sandbox and its network. Returns its id.
  func runPodSandbox(_ config: CRIPodSandboxConfig, runtimeHandler: String) async throws -> String
  /// Stops what runs in the sandbox and gives its network back. A sandbox that is gone already is no error.
  func stopPodSandbox(_ id: String) async throws
  /// Removes the sandbox and its containers. A sandbox that is gone already is no error.
  func removePodSandbox(_ id: String) async throws
  func podSandboxStatus(_ id: String) async throws -> CRIPodSandboxStatus
  func listPodSandboxes(_ filter: CRIPodSandboxFilter?) async throws -> [CRIPodSandbox]

  /// Creates a container in a sandbox. Returns its id.
  func createContainer(
    _ config: CRIContainerConfig, inSandbox sandboxID: String, sandboxConfig: CRIPodSandboxConfig
  ) async throws -> String
  func startContainer(_ id: String) async throws
  /// Sends the stop signal and, `gracePeriod` seconds later, SIGKILL; returns when the container has ended.
  /// A container that is gone already is no error.
  func stopContainer(_ id: String, gracePeriod: Int64) async throws
  /// Removes a container that doesn't run. A container that is gone already is no error.
  func removeContainer(_ id: String) async throws
  func containerStatus(_ id: String) async throws -> CRIContainerStatus
  func listContainers(_ filter: CRIContainerFilter?) async throws -> [CRIContainer]
  func updateContainerResources(_ id: String, _ resources: CRILinuxContainerResources) async throws
  /// Makes the engine write to a new log file at the old path, after the old one was renamed.
  /// Engines that rotate logs themselves throw `RuntimeError.unsupported`.
  func reopenContainerLog(_ id: String) async throws

  /// Writes a running container's state to a new file, an archive, and lets it run on. Engines that can't throw `RuntimeError.unsupported`.
  /// - Parameter timeout: nil: the engine's own limit.
  func checkpoint(_ id: String, to file: String, timeout: Duration?) async throws

  /// Runs a command in a container and waits for it.
  /// - Parameter timeout: nil waits for ever; when it passes, `RuntimeError.Code.deadlineExceeded` is thrown.
  func execSync(_ id: String, command: [String], timeout: Duration?) async throws -> ExecResult
  /// Runs a command in a container with its streams connected.
  func exec(_ id: String, command: [String], options: StreamOptions) async throws -> any StreamSession
  /// Connects to the streams of a container's first process.
  func attach(_ id: String, options: StreamOptions) async throws -> any StreamSession

  /// Where the engine itself serves those streams to Kubernetes' clients; nil if it doesn't.
  func streamServer(for request: StreamRequest) async throws -> StreamServer?
  /// The regular file that the engine writes the container's log to. Links that lead there don't count.
  func logFile(ofContainer id: String) async throws -> String
  /// A process that lives in the sandbox's network; nil if the engine doesn't tell, or nothing runs there.
  func sandboxProcess(_ id: String) async throws -> Int32?

  func containerStats(_ id: String) async throws -> CRIContainerStats
  func listContainerStats(_ filter: CRIContainerStatsFilter?) async throws -> [CRIContainerStats]

  /// What happens in the engine from now on. The first element is `.connected`; the stream throws when the connection
  /// is lost, and whoever reads subscribes again and lists everything, since events may be missing.
  func events() -> AsyncThrowingStream<RuntimeEvent, any Error>

  /// Ends running requests and closes connections.
  func shutdown() async
}

extension ContainerRuntime {
  public func streamServer(for request: StreamRequest) async throws -> StreamServer? { nil }
  public func logFile(ofContainer id: String) async throws -> String { try await containerStatus(id).logPath }
  public func sandboxProcess(_ id: String) async throws -> Int32? { nil }
}

/// The images of a container engine.
public protocol ImageService: Sendable {
  /// The image of that reference or id; nil if the engine doesn't have it.
  func imageStatus(_ reference: String) async throws -> CRIImage?
  /// Pulls an image and returns its id, which `createContainer` takes as image.
  func pullImage(_ reference: String, auth: CRIAuthConfig?, sandboxConfig: CRIPodSandboxConfig?) async throws -> String
  func listImages() async throws -> [CRIImage]
  /// An image that is gone already is no error.
  func removeImage(_ reference: String) async throws
  func imageFsInfo() async throws -> CRIImageFsInfoResponse
}

/// What a command printed, at most 16 MiB each, and its exit code.
public struct ExecResult: Sendable, Hashable {
  public var stdout: [UInt8]
  public var stderr: [UInt8]
  public var exitCode: Int32

  public init(stdout: [UInt8], stderr: [UInt8], exitCode: Int32) {
    self.stdout = stdout
    self.stderr = stderr
    self.exitCode = exitCode
  }
}

/// Something that happened to a container or to a sandbox, as the engine tells it.
public enum RuntimeEvent: Sendable, Hashable {
  /// The subscription stands: events from here on are not missed.
  case connected
  case started(containerID: String)
  /// The first process of the container (or of the sandbox with that id) ended.
  case exited(containerID: String, exitCode: Int32)
  case outOfMemory(containerID: String)
  case removed(containerID: String)
}
