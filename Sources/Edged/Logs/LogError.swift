import Glibc

/// A log that can't be read, rotated or linked.
public struct LogError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The system call: `open`.
  public let operation: String
  public let path: String
  /// The system's error number.
  public let code: Int32

  init(_ operation: String, _ path: String, code: Int32 = errno) {
    self.operation = operation
    self.path = path
    self.code = code
  }

  /// Whether the file doesn't exist.
  public var isNotFound: Bool { code == ENOENT }

  public var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }
}
