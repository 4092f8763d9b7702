import Curl
import FoundationEssentials

extension CRIRuntime {
  public func execSync(_ id: String, command: [String], timeout: Duration?) async throws -> ExecResult {
    var request = CRIExecSyncRequest()
    request.containerID = id
    request.cmd = command
    var limit: Duration?
    if let timeout, timeout > .zero {
      // Whole seconds on the wire, and 0 means for ever.
      let (seconds, attoseconds) = timeout.components
      request.timeout = seconds + (attoseconds > 0 ? 1 : 0)
      limit = requestTimeout + .seconds(request.timeout)
    }
    let reply: CRIExecSyncResponse = try await call(.runtime, "ExecSync", request, timeout: limit)
    return ExecResult(stdout: [UInt8](reply.stdout), stderr: [UInt8](reply.stderr), exitCode: reply.exitCode)
  }

  public func exec(_ id: String, command: [String], options: StreamOptions) async throws -> any StreamSession {
    try await RemoteCommand.connect(
      url: try await execURL(id, command, options), operation: "Exec", options: options, reportsExit: true, http: http,
      timeout: requestTimeout)
  }

  public func attach(_ id: String, options: StreamOptions) async throws -> any StreamSession {
    try await RemoteCommand.connect(
      url: try await attachURL(id, options), operation: "Attach", options: options, reportsExit: false, http: http, timeout: requestTimeout)
  }

  public func streamServer(for request: StreamRequest) async throws -> StreamServer? {
    let url: String
    switch request {
    case .exec(let id, let command, let options): url = try await execURL(id, command, options)
    case .attach(let id, let options): url = try await attachURL(id, options)
    case .portForward(let sandboxID, let ports):
      var request = CRIPortForwardRequest()
      request.podSandboxID = sandboxID
      request.port = ports
      url = try await call("PortForward", request, reply: CRIPortForwardResponse.self).url
    }
    return StreamServer(url: url, operation: request.operation, http: http, timeout: requestTimeout)
  }

  public func sandboxProcess(_ id: String) async throws -> Int32? {
    var request = CRIPodSandboxStatusRequest()
    request.podSandboxID = id
    request.verbose = true
    let reply: CRIPodSandboxStatusResponse = try await call("PodSandboxStatus", request)
    guard let info = reply.info["info"], let process = try? JSONDecoder().decode(SandboxInfo.self, from: Data(info.utf8)) else {
      return nil
    }
    return process.pid.flatMap { $0 > 0 ? $0 : nil }
  }

  /// What containerd and CRI-O say of a sandbox beyond the protocol.
  private struct SandboxInfo: Decodable {
    var pid: Int32?
  }

  private func execURL(_ id: String, _ command: [String], _ options: StreamOptions) async throws -> String {
    var request = CRIExecRequest()
    request.containerID = id
    request.cmd = command
    request.tty = options.tty
    request.stdin = options.stdin
    request.stdout = options.stdout
    request.stderr = options.stderr
    return try await call("Exec", request, reply: CRIExecResponse.self).url
  }

  private func attachURL(_ id: String, _ options: StreamOptions) async throws -> String {
    var request = CRIAttachRequest()
    request.containerID = id
    request.tty = options.tty
    request.stdin = options.stdin
    request.stdout = options.stdout
    request.stderr = options.stderr
    return try await call("Attach", request, reply: CRIAttachResponse.self).url
  }
}
