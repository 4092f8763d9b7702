import FoundationEssentials
import Glibc
import Synchronization

/// One process at a time of the agent's program, or of another one of this package, its log appended to a file.
final class AgentProcess: Sendable {
  private let program: String
  private let arguments: [String]
  private let log: String
  private let environment: [String]
  private let current = Mutex<pid_t>(0)

  /// - Parameter environment: `NAME=value`, beside what the test process has.
  init(_ program: String = "edgecore", arguments: [String], log: String, environment: [String] = []) {
    self.program = program
    self.arguments = arguments
    self.log = log
    self.environment = environment
  }

  var pid: pid_t { current.withLock { $0 } }
  var isRunning: Bool { pid > 0 }

  func start() throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The test process may block signals that the agent is to receive.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    // Sockets of the test process, for instance those of a simulated cloud, are not the agent's.
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
      guard let descriptor = Int32(name), descriptor > 2 else { continue }
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    // `EDGECORE` names another build, to measure that one.
    let other = self.program == "edgecore" ? ProcessInfo.processInfo.environment["EDGECORE"] : nil
    let program = other ?? Checkout.programs + "/" + self.program
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    let inherited = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
    var variables: [UnsafeMutablePointer<CChar>?] = (inherited + environment).map { strdup($0) } + [nil]
    defer { for variable in variables { free(variable) } }
    var child: pid_t = 0
    let code = posix_spawn(&child, program, &actions, &attributes, &words, &variables)
    guard code == 0 else { throw Shell.Failure(description: "\(program): \(String(cString: strerror(code)))") }
    let pid = child
    current.withLock { $0 = pid }
  }

  /// Sends a signal and waits for the end.
  func end(_ signal: Int32) async throws -> Int32 {
    let pid = pid
    guard pid > 0 else { return 0 }
    kill(pid, signal)
    let status: Int32 = try await eventually("the agent ends after signal \(signal)", within: .seconds(60)) {
      var status: Int32 = 0
      return waitpid(pid, &status, WNOHANG) == pid ? status : nil
    }
    current.withLock { $0 = 0 }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
  }
}
