import Glibc

/// A log file that is open for reading; it stays the same file when it is renamed.
final class LogFile: Sendable {
  /// Which file a path names at the moment.
  struct Identity: Sendable, Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// What the file system says of a file.
  struct Facts: Sendable, Hashable {
    var identity: Identity
    var size: Int64
    /// Nanoseconds since the epoch.
    var modified: Int64
    var isRegular: Bool

    init(_ info: stat) {
      identity = Identity(device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
      size = Int64(info.st_size)
      modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
      isRegular = info.st_mode & S_IFMT == S_IFREG
    }

    /// nil if there is no such file. Links are followed.
    init?(path: String) {
      var info = stat()
      guard stat(path, &info) == 0 else { return nil }
      self.init(info)
    }
  }

  /// The name under which the engine writes the log.
  let path: String
  let identity: Identity
  private let descriptor: Int32

  /// - Parameter name: the log's own path if `path` is one of its rotated files.
  init(path: String, namedLike name: String? = nil) throws(LogError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw LogError("open", path) }
    var info = stat()
    guard fstat(descriptor, &info) == 0, Facts(info).isRegular else {
      close(descriptor)
      throw LogError("open", path, code: EINVAL)
    }
    self.path = name ?? path
    self.descriptor = descriptor
    identity = Facts(info).identity
  }

  deinit { close(descriptor) }

  var facts: Facts? {
    var info = stat()
    return fstat(descriptor, &info) == 0 ? Facts(info) : nil
  }

  /// Up to `count` bytes from that offset; fewer at the end of the file.
  func bytes(at offset: Int64, count: Int) throws(LogError) -> [UInt8] {
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: max(count, 0)) { buffer, filled in
      while filled < count {
        let got = pread(descriptor, buffer.baseAddress?.advanced(by: filled), count - filled, Int(offset) + filled)
        if got < 0, errno == EINTR { continue }
        if got < 0 { code = errno }
        guard got > 0 else { return }
        filled += got
      }
    }
    guard code == 0 else { throw LogError("read", path, code: code) }
    return bytes
  }
}
