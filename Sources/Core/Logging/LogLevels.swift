import Logging
import Synchronization

/// The log level of each module; can be changed at any time and holds from the next message on.
public final class LogLevels: Sendable {
  /// One module's level, read by its loggers without a lock.
  final class Cell: Sendable {
    private let raw: Atomic<Int>
    init(_ level: Logger.Level) { raw = Atomic(Self.index(level)) }
    var level: Logger.Level {
      get { Logger.Level.allCases[raw.load(ordering: .relaxed)] }
      set { raw.store(Self.index(newValue), ordering: .relaxed) }
    }
    private static func index(_ level: Logger.Level) -> Int { Logger.Level.allCases.firstIndex(of: level) ?? 0 }
  }

  private struct State {
    var standard: Logger.Level
    var levels: [String: Logger.Level]
    var cells: [String: Cell] = [:]
  }

  private let state: Mutex<State>

  public init(_ standard: Logger.Level = .info, levels: [String: Logger.Level] = [:]) {
    state = Mutex(State(standard: standard, levels: levels))
  }

  /// The module that a logger's label belongs to: the part before the first `.`, `/` or `:`.
  public static func module(of label: String) -> String { String(label.prefix { $0 != "." && $0 != "/" && $0 != ":" }) }

  /// The level of modules without one of their own.
  public var standard: Logger.Level {
    get { state.withLock { $0.standard } }
    set {
      state.withLock { state in
        state.standard = newValue
        for (module, cell) in state.cells where state.levels[module] == nil { cell.level = newValue }
      }
    }
  }

  /// Levels of single modules.
  public var levels: [String: Logger.Level] { state.withLock { $0.levels } }

  /// Gives a module a level of its own; nil takes it back.
  public func set(_ level: Logger.Level?, for module: String) {
    state.withLock { state in
      state.levels[module] = level
      state.cells[module]?.level = level ?? state.standard
    }
  }

  func cell(for label: String) -> Cell {
    let module = Self.module(of: label)
    return state.withLock { state in
      if let cell = state.cells[module] { return cell }
      let cell = Cell(state.levels[module] ?? state.standard)
      state.cells[module] = cell
      return cell
    }
  }
}
