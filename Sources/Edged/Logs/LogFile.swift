import Glibc

/// A log file that is open for reading; it stays the same file when it is renamed.
final class LogFile: Sendable {
  /// The name under which the engine writes the log.
  let path: String
  private let file: OpenFile

  /// - Parameters:
  ///   - name: the log's own path if `path` is one of its rotated files.
  ///   - isGuarded: takes nothing but a regular file of one name that is really in the directory that the path says: what writes
  ///     below a log directory, such as a pod that mounts it, can't make another file readable by a link.
  init(path: String, namedLike name: String? = nil, isGuarded: Bool = false) throws(FileError) {
    file = try OpenFile(path, O_RDONLY | O_NONBLOCK | (isGuarded ? O_NOFOLLOW : 0))
    self.path = name ?? path
    let status = try file.status()
    guard status.kind == .file else { throw FileError("open", path, code: EINVAL) }
    guard isGuarded else { return }
    guard status.links <= 1, FileSystem.parent(of: try file.currentPath()) == FileSystem.parent(of: path) else {
      throw FileError("open", path, code: ELOOP)
    }
  }

  func status() throws(FileError) -> FileStatus { try file.status() }

  /// Up to `count` bytes from that offset; fewer at the end of the file.
  func bytes(at offset: Int64, count: Int) throws(FileError) -> [UInt8] { try file.read(from: offset, limit: count) }
}
