import Core
import Glibc
import Synchronization

/// A program that this one starts.
final class ChildProgram: Sendable {
  let pid: pid_t
  private let hasEnded = Atomic(false)

  /// - Parameters:
  ///   - output: Where its output is appended; nil: it goes where this program's errors go.
  ///   - environment: Added to this program's own.
  init(_ path: String, _ arguments: [String], output: String? = nil, environment: [String: String] = [:]) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    if let output {
      posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      posix_spawn_file_actions_adddup2(&actions, 1, 2)
    } else {
      posix_spawn_file_actions_adddup2(&actions, 2, 1)
    }
    // A child that kept the simulated cloud's socket would keep its port, too.
    for descriptor in 3..<Int32(1024) { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Of its own group: Ctrl-C reaches this program alone, which then ends what it began in order. The signals that are ignored
    // here are not to be ignored there.
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETPGROUP))
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0)=\($1)") }
    let added = variables.count
    defer { for variable in variables.prefix(added) { free(variable) } }
    var next = environ
    while let variable = next.pointee {
      variables.append(variable)
      next += 1
    }
    variables.append(nil)
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, path, &actions, &attributes, &words, &variables)
    guard code == 0 else { throw Failure("can't start \(path): \(String(cString: strerror(code)))") }
    pid = child
  }

  /// Waits for its end, cancelled or not. Returns its exit code, or 128 and the signal that ended it.
  func end() async -> Int32 {
    await withCheckedContinuation { continuation in
      let wait = { @Sendable [self] in
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        hasEnded.store(true, ordering: .relaxed)
        continuation.resume(returning: status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F))
      }
      do { try OperatingSystemThread.start("wait", run: wait) } catch { wait() }
    }
  }

  /// Sends SIGTERM, `grace` later SIGKILL, and waits for the end.
  func stop(grace: Duration = .seconds(30)) async {
    guard !hasEnded.load(ordering: .relaxed) else { return }
    kill(pid, SIGTERM)
    let pid = pid
    let killer = Task.detached {
      try await Task.sleep(for: grace)
      kill(pid, SIGKILL)
    }
    _ = await end()
    killer.cancel()
  }

  /// Runs a program to its end.
  static func run(_ path: String, _ arguments: [String], output: String? = nil, environment: [String: String] = [:]) async throws {
    let code = try await ChildProgram(path, arguments, output: output, environment: environment).end()
    guard code == 0 else { throw Failure("\(path) \(arguments.joined(separator: " ")) ended with \(code)") }
  }
}
