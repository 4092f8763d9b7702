import FoundationEssentials
import Glibc

extension DockerRuntime {
  /// What `execSync` keeps of each stream.
  static let outputLimit = 16 << 20
  /// The keys by which the engine's own client leaves a terminal; the usual ones, Ctrl-P Ctrl-Q, would delay each Ctrl-P.
  private static let detachKeys = "ctrl-@,ctrl-_,ctrl-@,ctrl-_"

  public func execSync(_ id: String, command: [String], timeout: Duration?) async throws -> ExecResult {
    let operation = "ExecSync"
    let since = Self.now()
    let exec = try await createExec(id, DockerExecRequest(command: command), operation: operation)
    let collect: @Sendable () async throws -> ExecResult = { [self] in
      let body = try await api.stream(operation, "POST", "/exec/\(exec)/start", body: DockerExecStart(tty: false))
      var result = ExecResult(stdout: [], stderr: [], exitCode: 0)
      try await api.translating(operation) {
        var decoder = DockerFrameDecoder()
        for try await chunk in body { result.append(try decoder.decode(chunk), limit: Self.outputLimit) }
      }
      result.exitCode = try await exitCode(ofExec: exec, inContainer: id, since: since, operation: operation)
      return result
    }
    guard let timeout else { return try await collect() }
    let finished: ExecResult? = try await withThrowingTaskGroup(of: ExecResult?.self) { group in
      group.addTask { try await collect() }
      group.addTask {
        try await Task.sleep(for: timeout)
        return nil
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
    if let finished { return finished }
    await kill(exec, inContainer: id)
    throw RuntimeError(.deadlineExceeded, operation: operation, message: "command \(command) timed out after \(timeout)")
  }

  public func exec(_ id: String, command: [String], options: StreamOptions) async throws -> any StreamSession {
    let operation = "Exec"
    let since = Self.now()
    var request = DockerExecRequest(command: command)
    request.tty = options.tty
    request.stdin = options.stdin
    request.stdout = options.stdout
    request.stderr = options.stderr
    request.detachKeys = options.tty ? Self.detachKeys : nil
    let exec = try await createExec(id, request, operation: operation)
    let connection = try await api.hijack(operation, "/exec/\(exec)/start", body: DockerExecStart(tty: options.tty))
    return DockerStreamSession(
      connection: connection, options: options, isRaw: options.tty,
      exitCode: { [self] in try await exitCode(ofExec: exec, inContainer: id, since: since, operation: operation) },
      resize: { [self] columns, rows in try await resize("/exec/\(exec)/resize", columns: columns, rows: rows) })
  }

  public func attach(_ id: String, options: StreamOptions) async throws -> any StreamSession {
    let operation = "Attach"
    let container = try await inspect(id, kind: .container, operation: operation)
    guard container.state.running else {
      throw RuntimeError(.failedPrecondition, operation: operation, message: "container \(id) doesn't run")
    }
    var query = [("stream", "1")]
    for (name, isWanted) in [("stdin", options.stdin), ("stdout", options.stdout), ("stderr", options.stderr)] where isWanted {
      query.append((name, "1"))
    }
    if container.config.tty { query.append(("detachKeys", Self.detachKeys)) }
    let connection = try await api.hijack(operation, "/containers/\(id)/attach", query: query)
    return DockerStreamSession(
      connection: connection, options: options, isRaw: container.config.tty, exitCode: nil,
      resize: { [self] columns, rows in try await resize("/containers/\(id)/resize", columns: columns, rows: rows) })
  }

  public func logFile(ofContainer id: String) async throws -> String {
    let operation = "ContainerStatus"
    guard let path = try await inspect(id, kind: .container, operation: operation).logPath, !path.isEmpty else {
      throw RuntimeError(.notFound, operation: operation, message: "the engine writes no log file for container \(id)")
    }
    return path
  }

  public func sandboxProcess(_ id: String) async throws -> Int32? {
    let sandbox = try await inspect(id, kind: .sandbox, operation: "PortForward")
    return sandbox.state.pid.flatMap { $0 > 0 ? $0 : nil }
  }

  private func createExec(_ id: String, _ request: DockerExecRequest, operation: String) async throws -> String {
    guard !request.command.isEmpty else {
      throw RuntimeError(.invalidArgument, operation: operation, message: "the command is empty")
    }
    _ = try await inspect(id, kind: .container, operation: operation)
    let answer: DockerCreated = try await api.post(operation, "/containers/\(id)/exec", body: request)
    return answer.id
  }

  private func resize(_ path: String, columns: UInt16, rows: UInt16) async throws {
    try await api.send("Resize", "POST", path, query: [("h", String(rows)), ("w", String(columns))])
  }

  /// The engine can't end a command, but it tells its process. The process is only killed if its control groups are the
  /// container's: the number may be another's by now, or be one of another PID namespace.
  private func kill(_ exec: String, inContainer id: String) async {
    // A busy engine may still be starting it.
    let deadline = ContinuousClock.now + .seconds(10)
    while let answer: DockerExec = try? await api.get("ExecSync", "/exec/\(exec)/json"), answer.exitCode == nil {
      if answer.running, let pid = answer.pid, pid > 1 {
        if let groups = try? Data(contentsOf: URL(filePath: "/proc/\(pid)/cgroup")), String(decoding: groups, as: UTF8.self).contains(id) {
          _ = Glibc.kill(pid, SIGKILL)
        }
        return
      }
      guard ContinuousClock.now < deadline else { return }
      do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
    }
  }
}

extension ExecResult {
  fileprivate mutating func append(_ pieces: [StreamOutput], limit: Int) {
    for piece in pieces {
      switch piece {
      case .stdout(let bytes): stdout += bytes.prefix(max(limit - stdout.count, 0))
      case .stderr(let bytes): stderr += bytes.prefix(max(limit - stderr.count, 0))
      case .exited: break
      }
    }
  }
}
