import CLinux
import Glibc
import Synchronization

/// One life of a child process: started, read from and reaped by a thread of its own.
///
/// The kernel tells a child of its parent's death when the *thread* ends that made it. So that thread stays until the child has ended, and
/// no pool of threads that come and go may make children.
final class SpawnedProcess: Sendable {
  /// What a child tells.
  enum Event: Sendable {
    case ready(pid: Int32)
    case ended(ChildProcess.Exit)
    case failed(code: Int32)
  }

  private struct State {
    var pid: Int32?
    /// Came before the child did.
    var pendingSignal: Int32?
    var ended = false
  }

  private let state = Mutex(State())
  let events: AsyncStream<Event>
  private let continuation: AsyncStream<Event>.Continuation

  private static let longestLine = 16 << 10

  init() {
    (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
  }

  /// Starts the child's thread. Both closures are called on it: `onStart` with the pid before anything else, `onLine` with each line of
  /// the output. While they run, the child's output waits.
  func start(
    _ configuration: ChildProcess.Configuration, onStart: @escaping @Sendable (Int32) -> Void, onLine: @escaping @Sendable (String) -> Void
  ) throws {
    try OperatingSystemThread.start(configuration.name) { [self] in
      run(configuration, onStart, onLine)
      continuation.finish()
    }
  }

  /// Sends a signal to the child, or to its whole process group; false if it has ended.
  @discardableResult
  func signal(_ number: Int32, group: Bool = false) -> Bool {
    // Under the lock the pid can't be reaped and reused.
    state.withLock { state in
      guard let pid = state.pid else {
        if !state.ended { state.pendingSignal = number }
        return false
      }
      return kill(group ? -pid : pid, number) == 0
    }
  }

  private func run(_ configuration: ChildProcess.Configuration, _ onStart: (Int32) -> Void, _ onLine: (String) -> Void) {
    var pipes: [Int32] = [-1, -1]
    guard pipe2(&pipes, O_CLOEXEC) == 0 else {
      continuation.yield(.failed(code: errno))
      return
    }
    let output = pipes[0]
    defer { close(output) }
    let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
    let child = Self.spawn(configuration, input: null, output: pipes[1])
    close(pipes[1])
    if null >= 0 { close(null) }
    guard child > 0 else {
      continuation.yield(.failed(code: -child))
      return
    }
    state.withLock { state in
      state.pid = child
      if let signal = state.pendingSignal { kill(child, signal) }
    }
    onStart(child)
    var ready = configuration.isReadyLine == nil
    if ready { continuation.yield(.ready(pid: child)) }
    read(output, until: child) { line in
      onLine(line)
      if !ready, configuration.isReadyLine?(line) == true {
        ready = true
        continuation.yield(.ready(pid: child))
      }
    }
    continuation.yield(.ended(reap(child)))
  }

  private static func spawn(_ configuration: ChildProcess.Configuration, input: Int32, output: Int32) -> pid_t {
    let arguments = ([configuration.executable] + configuration.arguments).map { strdup($0) }
    let environment = configuration.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") }
    defer { for text in arguments + environment { free(text) } }
    return configuration.executable.withCString { path in
      (arguments + [nil]).withUnsafeBufferPointer { arguments in
        (environment + [nil]).withUnsafeBufferPointer { environment in
          func spawn(_ directory: UnsafePointer<CChar>?) -> pid_t {
            var child = clinux_child()
            child.path = path
            child.argv = arguments.baseAddress
            child.envp = environment.baseAddress
            child.directory = directory
            child.input = input
            child.output = output
            child.error = output
            child.death_signal = SIGKILL
            return clinux_spawn(&child)
          }
          guard let directory = configuration.directory else { return spawn(nil) }
          return directory.withCString { spawn($0) }
        }
      }
    }
  }

  /// Hands out lines until the child has ended and what it wrote is read. Grandchildren that keep the pipe open don't hold this up.
  private func read(_ output: Int32, until child: pid_t, _ onLine: (String) -> Void) {
    let ended = clinux_pidfd_open(child)
    defer { if ended >= 0 { close(ended) } }
    _ = fcntl(output, F_SETFL, O_NONBLOCK)
    var lines = LineSplitter(longest: Self.longestLine)
    var buffer = [UInt8](repeating: 0, count: 4096)
    var alive = true
    while true {
      let count = Glibc.read(output, &buffer, buffer.count)
      if count > 0 {
        for line in lines.feed(buffer[..<count]) { onLine(line) }
        continue
      }
      if count == 0 { break }
      if errno == EINTR { continue }
      guard errno == EAGAIN, alive else { break }
      var wait = [pollfd(fd: output, events: Int16(POLLIN), revents: 0), pollfd(fd: ended, events: Int16(POLLIN), revents: 0)]
      _ = poll(&wait, ended >= 0 ? 2 : 1, -1)
      if wait[1].revents != 0 { alive = false }
    }
    if let rest = lines.finish() { onLine(rest) }
  }

  private func reap(_ child: pid_t) -> ChildProcess.Exit {
    // Wait without reaping first: until the pid is forgotten here, it must stay the child's.
    var information = siginfo_t()
    while waitid(P_PID, id_t(child), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    state.withLock { state in
      // What the child left running in its group ends with it.
      kill(-child, SIGKILL)
      state.pid = nil
      state.ended = true
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? .code(status >> 8 & 0xFF) : .signal(signal)
  }
}

/// Cuts bytes into lines.
struct LineSplitter {
  private var partial: [UInt8] = []
  private let longest: Int

  /// - Parameter longest: longer lines are cut into pieces of that many bytes.
  init(longest: Int) { self.longest = longest }

  mutating func feed(_ bytes: some Collection<UInt8>) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte == 0x0A {
        lines.append(take())
      } else {
        partial.append(byte)
        if partial.count >= longest { lines.append(take()) }
      }
    }
    return lines
  }

  /// What stands after the last line's end; nil if nothing does.
  mutating func finish() -> String? { partial.isEmpty ? nil : take() }

  private mutating func take() -> String {
    if partial.last == 0x0D { partial.removeLast() }
    defer { partial.removeAll(keepingCapacity: true) }
    return String(decoding: partial, as: UTF8.self)
  }
}
