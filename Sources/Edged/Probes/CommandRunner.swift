import Runtime

/// Runs a command in a container and waits for its end. The container is named by the engine's id; without a timeout it waits
/// for ever, and when the timeout passes, `RuntimeError.Code.deadlineExceeded` is thrown.
public typealias CommandRunner =
  @Sendable (_ containerID: String, _ command: [String], _ timeout: Duration?) async throws -> ExecResult

extension ContainerRuntime {
  /// This engine, as far as probes and hooks need it.
  public var commandRunner: CommandRunner {
    { try await self.execSync($0, command: $1, timeout: $2) }
  }
}
