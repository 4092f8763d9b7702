import Curl
import GRPC
import SwiftProtobuf
import Synchronization

/// containerd, or another engine, through the Kubernetes Container Runtime Interface v1 on its Unix socket.
public final class CRIRuntime: ContainerRuntime {
  public let scheme = "containerd"
  public let endpoint: String

  let http: HTTPClient
  private let channel: GRPCChannel
  let requestTimeout: Duration
  private let knownVersion = Mutex<(version: CRIVersionResponse, until: ContinuousClock.Instant)?>(nil)

  /// - Parameters:
  ///   - http: Shut down together with the runtime.
  ///   - requestTimeout: How long the engine may take for a call. RunPodSandbox has twice the time; the grace period or the command's
  ///     time-out comes on top for StopContainer and ExecSync; PullImage has no limit.
  public init(socketPath: String, http: HTTPClient, requestTimeout: Duration = .seconds(120)) {
    endpoint = socketPath
    self.http = http
    channel = GRPCChannel(.unixSocket(path: socketPath), http: http)
    self.requestTimeout = requestTimeout
  }

  enum Service: String {
    case runtime = "runtime.v1.RuntimeService"
    case image = "runtime.v1.ImageService"
  }

  /// A call whose failure is a `RuntimeError` of that method's name.
  func call<Reply: Message>(
    _ service: Service, _ method: String, _ request: some Message, timeout: Duration?, reply: Reply.Type = Reply.self
  ) async throws -> Reply {
    do {
      return try await channel.unary(service.rawValue, method, request, timeout: timeout)
    } catch let error as GRPCError {
      throw RuntimeError(error.runtimeCode, operation: method, message: Self.stripped(error.description))
    }
  }

  /// A call to the runtime service with the ordinary time limit.
  func call<Reply: Message>(_ method: String, _ request: some Message, reply: Reply.Type = Reply.self) async throws -> Reply {
    try await call(.runtime, method, request, timeout: requestTimeout)
  }

  /// A call for which it is as good when its object is gone.
  func callUnlessGone(_ method: String, _ request: some Message, of service: Service = .runtime, extra: Duration = .zero) async throws {
    do {
      let _: CRIEmpty = try await call(service, method, request, timeout: requestTimeout + extra)
    } catch let error as RuntimeError where error.code == .notFound {}
  }

  /// Engines that ask others over gRPC pass on their errors with this in front, which tells a user nothing.
  static func stripped(_ message: String) -> String {
    let prefix = "rpc error: code = Unknown desc = "
    return message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
  }

  // MARK: The engine

  /// Remembered for a minute.
  public func version() async throws -> CRIVersionResponse {
    if let known = knownVersion.withLock({ $0 }), known.until > .now { return known.version }
    var request = CRIVersionRequest()
    request.version = "0.1.0"
    let version: CRIVersionResponse = try await call("Version", request)
    knownVersion.withLock { $0 = (version, .now + .seconds(60)) }
    return version
  }

  public func status() async throws -> CRIRuntimeStatus {
    try await call("Status", CRIStatusRequest(), reply: CRIStatusResponse.self).status
  }

  public func features() async throws -> CRIRuntimeFeatures {
    try await call("Status", CRIStatusRequest(), reply: CRIStatusResponse.self).features
  }

  public func cgroupDriver() async throws -> CRICgroupDriver? {
    do {
      let reply: CRIRuntimeConfigResponse = try await call("RuntimeConfig", CRIRuntimeConfigRequest())
      return reply.hasLinux ? reply.linux.cgroupDriver : nil
    } catch let error as RuntimeError where [.unsupported, .unavailable].contains(error.code) {
      // An engine that doesn't know the call may refuse it before it has read the request, which libcurl takes for a broken stream.
      var request = CRIStatusRequest()
      request.verbose = true
      let reply: CRIStatusResponse = try await call("Status", request)
      return reply.info["config"].flatMap(ContainerdConfigInfo.cgroupDriver)
    }
  }

  public func events() -> AsyncThrowingStream<RuntimeEvent, any Error> {
    ContainerdEvents(channel: channel).stream()
  }

  public func shutdown() async {
    await http.shutdown()
  }

  // MARK: Sandboxes

  public func runPodSandbox(_ config: CRIPodSandboxConfig, runtimeHandler: String) async throws -> String {
    var request = CRIRunPodSandboxRequest()
    request.config = config
    request.runtimeHandler = runtimeHandler
    let reply: CRIRunPodSandboxResponse = try await call(.runtime, "RunPodSandbox", request, timeout: requestTimeout * 2)
    return try reply.podSandboxID.validated("RunPodSandbox", "pod_sandbox_id")
  }

  public func stopPodSandbox(_ id: String) async throws {
    var request = CRIStopPodSandboxRequest()
    request.podSandboxID = id
    try await callUnlessGone("StopPodSandbox", request)
  }

  public func removePodSandbox(_ id: String) async throws {
    var request = CRIRemovePodSandboxRequest()
    request.podSandboxID = id
    try await callUnlessGone("RemovePodSandbox", request)
  }

  public func podSandboxStatus(_ id: String) async throws -> CRIPodSandboxStatus {
    var request = CRIPodSandboxStatusRequest()
    request.podSandboxID = id
    return try await call("PodSandboxStatus", request, reply: CRIPodSandboxStatusResponse.self).status.validated()
  }

  public func listPodSandboxes(_ filter: CRIPodSandboxFilter?) async throws -> [CRIPodSandbox] {
    var request = CRIListPodSandboxRequest()
    if let filter { request.filter = filter }
    return try await call("ListPodSandbox", request, reply: CRIListPodSandboxResponse.self).items
  }
}
