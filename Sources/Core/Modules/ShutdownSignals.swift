import CLinux
import Glibc

/// The signals that ask the agent to stop.
///
/// They are blocked in all threads and taken by one thread that waits for them, so that no signal handler interrupts anything. A crash of
/// our own still ends the process: the kernel doesn't let a thread block the SIGILL or SIGTRAP that it causes itself, and abort() unblocks
/// its SIGABRT.
public final class ShutdownSignals: Sendable {
  public static let numbers: [Int32] = [SIGINT, SIGHUP, SIGTERM, SIGQUIT, SIGABRT, SIGTRAP, SIGILL]

  /// The numbers of the signals that came.
  public let received: AsyncStream<Int32>

  /// Blocks the signals in this thread and in all that it starts, and ignores SIGPIPE. To be called in main before any thread exists.
  public static func block() {
    signal(SIGPIPE, SIG_IGN)
    var set = mask
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Starts the thread that waits for the signals; it lives as long as the process. `block()` must have been called.
  ///
  /// - Throws: `ThreadError`.
  public init() throws(ThreadError) {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    received = stream
    try OperatingSystemThread.start("signals", stackSize: 64 << 10) {
      var set = Self.mask
      while true {
        let number = sigwaitinfo(&set, nil)
        if number > 0 {
          continuation.yield(number)
        } else if errno != EINTR {
          return
        }
      }
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
