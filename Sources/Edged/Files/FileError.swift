import Glibc

/// A system call on a file that failed: what was tried, on which path, and the system's error.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// In words: `create directory`.
  public var operation: String
  public var path: String
  /// errno.
  public var code: Int32

  public init(_ operation: String, _ path: String, code: Int32) {
    self.operation = operation
    self.path = path
    self.code = code
  }

  /// The error of the system call that just failed.
  static func last(_ operation: String, _ path: String) -> FileError { FileError(operation, path, code: errno) }

  public var description: String { "\(operation) \(path): \(String(cString: strerror(code)))" }

  /// The disk, its inodes or a quota are used up.
  public var isOutOfSpace: Bool { code == ENOSPC || code == EDQUOT }
}
