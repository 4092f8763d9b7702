import Synchronization

/// The modules of the agent in the order of their start, the disabled ones included.
public final class ModuleRegistry: Sendable {
  private struct State {
    var modules: [any Module] = []
    var statuses: [ModuleStatus] = []
  }

  private let state = Mutex(State())

  public init() {}

  /// Adds a module that will run.
  public func add(_ module: any Module) {
    state.withLock { state in
      state.modules.append(module)
      state.statuses.append(.init(name: module.name, group: module.group, state: .starting, since: Message.Header.now))
    }
  }

  /// Notes a module that will not run, and why.
  public func addDisabled(_ name: ModuleName, group: ModuleGroup, reason: String) {
    state.withLock { state in
      state.statuses.append(.init(name: name, group: group, state: .disabled, since: Message.Header.now, reason: reason))
    }
  }

  /// The modules that run, in the order of their start.
  public var modules: [any Module] { state.withLock { $0.modules } }

  /// All modules in the order in which they were added.
  public var statuses: [ModuleStatus] { state.withLock { $0.statuses } }

  public func status(of name: ModuleName) -> ModuleStatus? { statuses.first { $0.name == name } }

  func update(_ name: ModuleName, _ newState: ModuleStatus.State, error: String? = nil) {
    state.withLock { state in
      guard let index = state.statuses.firstIndex(where: { $0.name == name }) else { return }
      if state.statuses[index].state != newState { state.statuses[index].since = Message.Header.now }
      state.statuses[index].state = newState
      if newState == .restarting { state.statuses[index].restarts += 1 }
      if let error { state.statuses[index].lastError = error }
    }
  }
}
