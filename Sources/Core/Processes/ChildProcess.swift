import Glibc
import Logging
import ServiceLifecycle
import Synchronization

/// Why a child process did not do.
public enum ChildProcessError: Error, Sendable, Hashable, CustomStringConvertible {
  case start(executable: String, code: Int32)

  public var description: String {
    switch self {
    case .start(let executable, let code): "can't start \(executable): \(String(cString: strerror(code)))"
    }
  }
}

/// A program that runs beside the agent and is started again when it ends.
///
/// Its output goes line by line to a logger. It ends with the agent, also when the agent is killed, and what it leaves running in its
/// process group is killed when it ends under the agent's eyes. swift-subprocess is not used for it since it offers no way to ask the
/// kernel for that.
public final class ChildProcess: Service {
  public struct Configuration: Sendable {
    /// For logs.
    public var name: String
    /// Absolute path.
    public var executable: String
    public var arguments: [String]
    /// The whole environment of the child.
    public var environment: [String: String]
    /// The working directory; nil: the agent's.
    public var directory: String?
    /// Delays between starts.
    public var backoff: Backoff
    /// A child that ran for this long counts as healthy: the delays begin anew.
    public var healthyAfter: Duration
    /// How long it may take to end after SIGTERM before it is killed.
    public var terminationGrace: Duration
    /// Whether a line of its output says that it is ready; nil: it is ready as soon as it runs.
    public var isReadyLine: (@Sendable (String) -> Bool)?

    public init(
      name: String, executable: String, arguments: [String] = [], environment: [String: String] = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
      directory: String? = nil, backoff: Backoff = Backoff(initial: .seconds(1), maximum: .seconds(60)),
      healthyAfter: Duration = .seconds(60), terminationGrace: Duration = .seconds(5), isReadyLine: (@Sendable (String) -> Bool)? = nil
    ) {
      self.name = name
      self.executable = executable
      self.arguments = arguments
      self.environment = environment
      self.directory = directory
      self.backoff = backoff
      self.healthyAfter = healthyAfter
      self.terminationGrace = terminationGrace
      self.isReadyLine = isReadyLine
    }
  }

  /// How a child ended.
  public enum Exit: Sendable, Hashable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)

    public var description: String {
      switch self {
      case .code(let code): "exit code \(code)"
      case .signal(let number): "signal \(number)"
      }
    }
  }

  public struct Status: Sendable, Hashable {
    /// Nil while it does not run.
    public var pid: Int32?
    public var isReady = false
    public var starts = 0
    public var lastExit: Exit?
    public var lastError: ChildProcessError?
  }

  private let configuration: Configuration
  private let logger: Logger
  private let onReady: @Sendable (Int32) async -> Void
  private let state = Mutex(Status())

  /// - Parameter onReady: called with the pid each time the child is ready.
  public init(_ configuration: Configuration, logger: Logger, onReady: @escaping @Sendable (Int32) async -> Void = { _ in }) {
    self.configuration = configuration
    self.logger = logger
    self.onReady = onReady
  }

  public var status: Status { state.withLock { $0 } }

  /// Keeps the child running until graceful shutdown or cancellation; when it returns the child is gone.
  public func run() async throws {
    var backoff = configuration.backoff
    while !Task.isCancelled, !Task.isShuttingDownGracefully {
      let began = ContinuousClock.now
      await runOnce()
      if Task.isCancelled || Task.isShuttingDownGracefully { return }
      if ContinuousClock.now - began >= configuration.healthyAfter { backoff.reset() }
      let delay = backoff.next()
      logger.warning("child process ended, starting it again", metadata: ["child": "\(configuration.name)", "in": "\(delay)"])
      do {
        try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
      } catch { return }
    }
  }

  private func runOnce() async {
    let process = SpawnedProcess()
    do {
      try process.start(configuration) { [self] pid in
        state.withLock { status in
          status.pid = pid
          status.starts += 1
          status.lastError = nil
        }
        logger.info("child process started", metadata: ["child": "\(configuration.name)", "pid": "\(pid)"])
      } onLine: { [logger, name = configuration.name] line in
        logger.info("\(line)", metadata: ["child": "\(name)"])
      }
    } catch {
      logger.error("\(error)", metadata: ["child": "\(configuration.name)"])
      return
    }
    // The one who ends the child outlives the wish to end it: it has the time of the grace.
    let ending = Mutex<Task<Void, Never>?>(nil)
    await withTaskCancellationOrGracefulShutdownHandler {
      // Reading goes on after cancellation: the child's end must be seen, and an AsyncStream would stop to tell.
      await Task { await follow(process) }.value
    } onCancelOrGracefulShutdown: { [grace = configuration.terminationGrace] in
      ending.withLock { ending in
        guard ending == nil else { return }
        ending = Task {
          process.signal(SIGTERM)
          do { try await Task.sleep(for: grace) } catch { return }
          process.signal(SIGKILL, group: true)
        }
      }
    }
    let ender = ending.withLock { $0 }
    ender?.cancel()
    await ender?.value
  }

  private func follow(_ process: SpawnedProcess) async {
    for await event in process.events {
      switch event {
      case .ready(let pid):
        state.withLock { $0.isReady = true }
        await onReady(pid)
      case .ended(let exit):
        state.withLock { status in
          status.pid = nil
          status.isReady = false
          status.lastExit = exit
        }
        logger.info("child process ended", metadata: ["child": "\(configuration.name)", "exit": "\(exit)"])
      case .failed(let code):
        let error = ChildProcessError.start(executable: configuration.executable, code: code)
        state.withLock { $0.lastError = error }
        logger.error("\(error)", metadata: ["child": "\(configuration.name)"])
      }
    }
  }
}
