import CLinux
import Glibc

/// The signals that ask the agent to stop.
///
/// They are blocked in all threads and taken by the main thread, which does nothing but wait for them, so that no signal handler interrupts
/// anything. The main thread of an `async` main would not do: Dispatch parks it with all signals unblocked. A crash of our own still ends
/// the process: the kernel doesn't let a thread block the SIGILL or SIGTRAP that it causes itself, and abort() unblocks its SIGABRT.
public enum ShutdownSignals {
  public static let numbers: [Int32] = [SIGINT, SIGHUP, SIGTERM, SIGQUIT, SIGABRT, SIGTRAP, SIGILL]

  /// Runs a program: to be called in a main that is not `async`, before any thread exists. SIGPIPE is ignored.
  ///
  /// Nothing must be bound to the main actor, since the main thread doesn't serve it.
  /// - Parameter body: gets the numbers of the signals that come; what it returns becomes the process's exit code.
  public static func main(_ body: @escaping @Sendable (AsyncStream<Int32>) async -> Int32) -> Never {
    signal(SIGPIPE, SIG_IGN)
    var set = mask
    pthread_sigmask(SIG_BLOCK, &set, nil)
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    Task.detached { exit(await body(stream)) }
    while true {
      let number = sigwaitinfo(&set, nil)
      if number > 0 { continuation.yield(number) }
    }
  }

  private static var mask: sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }

  /// `SIGTERM` for 15.
  public static func name(of number: Int32) -> String {
    switch number {
    case SIGINT: "SIGINT"
    case SIGHUP: "SIGHUP"
    case SIGTERM: "SIGTERM"
    case SIGQUIT: "SIGQUIT"
    case SIGABRT: "SIGABRT"
    case SIGTRAP: "SIGTRAP"
    case SIGILL: "SIGILL"
    default: "signal \(number)"
    }
  }
}
