/// Which streams of a command are wanted.
public struct StreamOptions: Sendable, Hashable {
  public var stdin: Bool
  public var stdout: Bool
  public var stderr: Bool
  /// With a terminal, stderr arrives as stdout.
  public var tty: Bool

  public init(stdin: Bool = false, stdout: Bool = true, stderr: Bool = true, tty: Bool = false) {
    self.stdin = stdin
    self.stdout = stdout
    self.stderr = stderr && !tty
    self.tty = tty
  }
}

/// A running command or an attached container with its streams.
public protocol StreamSession: Sendable {
  /// What the process prints, and last its end. Read by one reader; a slow reader slows the process down.
  var output: AsyncThrowingStream<StreamOutput, any Error> { get }
  /// Waits while the process doesn't read.
  func write(_ bytes: [UInt8]) async throws
  /// Ends the process's input.
  func closeInput() async throws
  func resize(columns: UInt16, rows: UInt16) async throws
  /// Disconnects. Safe to call twice.
  func close() async
}

/// One piece of a session's output.
public enum StreamOutput: Sendable, Hashable {
  case stdout([UInt8])
  case stderr([UInt8])
  /// The process ended. An attached container reports none.
  case exited(code: Int32)
}
