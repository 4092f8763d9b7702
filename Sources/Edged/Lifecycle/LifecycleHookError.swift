/// A hook that failed. Its text names neither the command nor what it printed: both may hold secrets.
public enum LifecycleHookError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The command ended with another code than 0.
  case exited(code: Int32)
  /// The engine could not run the command.
  case notRun(String)
  /// There was no answer to the request.
  case notAnswered(String)
  /// The hook names a port or a host that isn't there.
  case noTarget(String)
  /// The hook has no action that is allowed.
  case invalidHandler
  /// The grace period was over first.
  case outOfTime(limit: Duration)

  public var description: String {
    switch self {
    case .exited(let code): "the command exited with code \(code)"
    case .notRun(let reason): "the command could not be run: \(reason)"
    case .notAnswered(let reason): reason
    case .noTarget(let reason): reason
    case .invalidHandler: "invalid handler: allowed are exec, httpGet and sleep"
    case .outOfTime(let limit): "it took longer than the \(limit.formattedSeconds) that remained of the grace period"
    }
  }
}
