import FoundationEssentials
import Glibc
import Synchronization
import Testing

/// A container engine that the tests started for themselves.
struct Engine: Sendable {
  enum Kind: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case containerd, docker
    var testDescription: String { rawValue }
  }

  var kind: Kind
  var directory: String
  /// `unix://…`
  var endpoint: String

  static let canRun = getuid() == 0

  /// The engine of that kind, started by whoever asks first; it ends with the test process.
  static func shared(_ kind: Kind) async throws -> Engine { try await pool.engine(kind) }

  /// Gives the shared engine of that kind to one agent at a time: an agent looks after all pods of its engine.
  static func exclusively(_ kind: Kind, _ body: (Engine) async throws -> Void) async throws {
    let engine = try await shared(kind)
    await pool.acquire(kind)
    do {
      try await body(engine)
    } catch {
      await pool.release(kind)
      throw error
    }
    await pool.release(kind)
  }

  private static let pool = Pool()

  private actor Pool {
    private var starts: [Kind: Task<Engine, any Error>] = [:]
    private var isTaken: Set<Kind> = []
    private var waiting: [Kind: [CheckedContinuation<Void, Never>]] = [:]

    func acquire(_ kind: Kind) async {
      if isTaken.insert(kind).inserted { return }
      await withCheckedContinuation { waiting[kind, default: []].append($0) }
    }

    func release(_ kind: Kind) {
      if waiting[kind]?.isEmpty ?? true { isTaken.remove(kind) } else { waiting[kind]?.removeFirst().resume() }
    }

    func engine(_ kind: Kind) async throws -> Engine {
      if let start = starts[kind] { return try await start.value }
      let start = Task { try await Engine.start(kind, directory: "/tmp/edgecore-test-\(getpid())-\(kind.rawValue)") }
      starts[kind] = start
      return try await start.value
    }
  }

  /// Starts an engine of one's own, for tests that break it.
  static func start(_ kind: Kind, directory: String) async throws -> Engine {
    let output = try await Shell.output(
      Checkout.root + "/hack/engine.sh", ["up", kind.rawValue, directory], environment: ["ENGINE_OWNER": String(getpid())])
    return Engine(kind: kind, directory: directory, endpoint: output.trimmingLines().last ?? "")
  }

  func stop() async throws { try await Shell.output(Checkout.root + "/hack/engine.sh", ["down", directory]) }

  /// The engine's own log.
  var log: String { directory + "/engine.log" }

  /// The engine's own process.
  var pid: pid_t? {
    guard let text = text(of: directory + "/\(kind.rawValue).pid") else { return nil }
    return pid_t(text.trimmingLines().first ?? "")
  }
}

extension String {
  func trimmingLines() -> [String] { split(whereSeparator: \.isNewline).map(String.init) }
}
