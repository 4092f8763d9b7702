import CLinux
@preconcurrency import Dispatch
import Glibc

/// The terminal that edgectl runs in.
struct Terminal {
  private var saved: termios

  /// Turns echo and line editing off; nil if the input is no terminal.
  static func makeRaw() -> Terminal? {
    var settings = termios()
    guard tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
    let terminal = Terminal(saved: settings)
    cfmakeraw(&settings)
    tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    return terminal
  }

  func restore() {
    var settings = saved
    tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
  }

  /// What is typed, until its end. Read on a thread of its own, since reading blocks.
  static func input() -> AsyncStream<[UInt8]> {
    AsyncStream { continuation in
      let thread = DispatchQueue(label: "stdin")
      thread.async {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
          let count = read(STDIN_FILENO, &buffer, buffer.count)
          if count <= 0 { break }
          continuation.yield(Array(buffer[..<count]))
        }
        continuation.finish()
      }
    }
  }

  /// The size now, and again whenever it changes.
  static func sizes() -> AsyncStream<(columns: UInt16, rows: UInt16)> {
    AsyncStream { continuation in
      signal(SIGWINCH, SIG_IGN)
      nonisolated(unsafe) let source = DispatchSource.makeSignalSource(signal: SIGWINCH)
      @Sendable func yieldSize() {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 { continuation.yield((size.ws_col, size.ws_row)) }
      }
      source.setEventHandler(handler: yieldSize)
      source.activate()
      yieldSize()
      continuation.onTermination = { _ in source.cancel() }
    }
  }

  static func write(_ bytes: [UInt8], to descriptor: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR || errno == EAGAIN { continue }
      guard count > 0 else { throw CommandFailure("can't write the output: \(String(cString: strerror(errno)))") }
      rest = rest.dropFirst(count)
    }
  }
}
