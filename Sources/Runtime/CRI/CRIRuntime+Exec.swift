import Curl

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
    var request = CRIExecRequest()
    request.containerID = id
    request.cmd = command
    request.tty = options.tty
    request.stdin = options.stdin
    request.stdout = options.stdout
    request.stderr = options.stderr
    let reply: CRIExecResponse = try await call("Exec", request)
    return try await RemoteCommand.connect(
      url: reply.url, operation: "Exec", options: options, reportsExit: true, http: http, timeout: requestTimeout)
  }

  public func attach(_ id: String, options: StreamOptions) async throws -> any StreamSession {
    var request = CRIAttachRequest()
    request.containerID = id
    request.tty = options.tty
    request.stdin = options.stdin
    request.stdout = options.stdout
    request.stderr = options.stderr
    let reply: CRIAttachResponse = try await call("Attach", request)
    return try await RemoteCommand.connect(
      url: reply.url, operation: "Attach", options: options, reportsExit: false, http: http, timeout: requestTimeout)
  }
}
