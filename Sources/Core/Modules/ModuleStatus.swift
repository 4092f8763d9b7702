/// A module as people see it.
public struct ModuleStatus: Sendable, Hashable, Codable {
  public enum State: String, Sendable, Hashable, Codable, CaseIterable { case disabled, starting, running, restarting, stopped, failed }

  public var name: ModuleName
  public var group: ModuleGroup
  public var state: State
  /// Milliseconds since 1970 when it came into this state.
  public var since: Int64
  public var restarts = 0
  /// What ended it last time, if it was not asked to end.
  public var lastError: String?
  /// Why it is disabled.
  public var reason: String?
}
