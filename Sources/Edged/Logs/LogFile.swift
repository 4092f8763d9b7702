import Glibc

/// A log file that is open for reading; it stays the same file when it is renamed.
final class LogFile: Sendable {
  /// The name under which the engine writes the log.
  let path: String
  private let file: OpenFile

  /// - Parameter name: the log's own path if `path` is one of its rotated files.
  init(path: String, namedLike name: String? = nil) throws(FileError) {
    file = try OpenFile(path, O_RDONLY | O_NONBLOCK)
    self.path = name ?? path
    guard try file.status().kind == .file else { throw FileError("open", path, code: EINVAL) }
  }

  func status() throws(FileError) -> FileStatus { try file.status() }

  /// Up to `count` bytes from that offset; fewer at the end of the file.
  func bytes(at offset: Int64, count: Int) throws(FileError) -> [UInt8] { try file.read(from: offset, limit: count) }
}
