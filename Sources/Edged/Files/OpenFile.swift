import CLinux
import Glibc

/// An open file, closed when its owner lets go of it.
struct OpenFile: ~Copyable {
  let descriptor: Int32
  /// For errors.
  let path: String

  /// Opens a file; never inherited by child processes.
  /// - Parameter mode: of a file that `flags` create, before umask.
  init(_ path: String, _ flags: Int32, mode: mode_t = 0, operation: String = "open") throws(FileError) {
    var descriptor: Int32
    repeat { descriptor = open(path, flags | O_CLOEXEC, mode) } while descriptor < 0 && errno == EINTR
    guard descriptor >= 0 else { throw .last(operation, path) }
    self.descriptor = descriptor
    self.path = path
  }

  deinit { close(descriptor) }

  func status() throws(FileError) -> FileStatus {
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw .last("stat", path) }
    return FileStatus(info)
  }

  /// Where the kernel has the file, without links; renamed since, it has its new name.
  func currentPath() throws(FileError) -> String {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/fd/\(descriptor)", $0, bytes.count) } ?? -1
    }
    guard count >= 0 else { throw .last("find", path) }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// Reads from `offset` until the end of the file or `limit` bytes.
  func read(from offset: Int64 = 0, limit: Int) throws(FileError) -> [UInt8] {
    var bytes: [UInt8] = []
    let code = withUnsafeTemporaryAllocation(byteCount: 16 * 1024, alignment: 1) { buffer -> Int32 in
      while bytes.count < limit {
        let count = pread(descriptor, buffer.baseAddress, min(limit - bytes.count, buffer.count), off_t(offset) + off_t(bytes.count))
        if count > 0 {
          bytes.append(contentsOf: buffer[..<count])
        } else if count == 0 {
          return 0
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
    if code != 0 { throw FileError("read", path, code: code) }
    return bytes
  }

  /// Writes all bytes at `offset`.
  func write(_ bytes: some Collection<UInt8>, at offset: Int64 = 0) throws(FileError) {
    let bytes = ContiguousArray(bytes)
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        pwrite(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written, off_t(offset) + off_t(written))
      }
      if count < 0 && errno != EINTR { throw .last("write", path) }
      written += max(0, count)
    }
  }

  /// Sets the mode bits whatever the process's umask is.
  func changeMode(_ mode: mode_t) throws(FileError) {
    guard fchmod(descriptor, mode) == 0 else { throw .last("change mode of", path) }
  }

  func truncate(to size: Int64) throws(FileError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else { throw .last("truncate", path) }
  }

  /// Waits until what was written is on the disk.
  func synchronize() throws(FileError) {
    guard fsync(descriptor) == 0 else { throw .last("sync", path) }
  }
}
