import CLinux
import Glibc

/// Room on a file system.
struct FileSystemUsage: Sendable, Hashable {
  var availableBytes: UInt64
  var capacityBytes: UInt64
  var usedBytes: UInt64
  var freeInodes: UInt64
  var inodes: UInt64
  var usedInodes: UInt64

  /// Of the file system that a path is on; nil if there is none.
  static func read(_ path: String) -> FileSystemUsage? {
    var info = statvfs()
    guard statvfs(path, &info) == 0 else { return nil }
    let block = UInt64(info.f_frsize)
    return FileSystemUsage(
      availableBytes: UInt64(info.f_bavail) * block, capacityBytes: UInt64(info.f_blocks) * block,
      usedBytes: (UInt64(info.f_blocks) - UInt64(info.f_bfree)) * block, freeInodes: UInt64(info.f_ffree), inodes: UInt64(info.f_files),
      usedInodes: UInt64(info.f_files) - UInt64(info.f_ffree))
  }
}

/// What the files below a directory take up.
struct FileTreeUsage: Sendable, Hashable {
  var bytes: UInt64 = 0
  var inodes: UInt64 = 0

  static func + (a: FileTreeUsage, b: FileTreeUsage) -> FileTreeUsage {
    FileTreeUsage(bytes: a.bytes + b.bytes, inodes: a.inodes + b.inodes)
  }

  /// Counts what is below a path and on its file system. It takes as long as there are files; what goes meanwhile isn't counted.
  static func read(_ path: String) -> FileTreeUsage {
    var usage = FileTreeUsage()
    var info = stat()
    guard lstat(path, &info) == 0 else { return usage }
    let device = info.st_dev
    var left = [path]
    while let directory = left.popLast() {
      guard let stream = opendir(directory) else { continue }
      defer { closedir(stream) }
      while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name != ".", name != "..", fstatat(dirfd(stream), name, &info, AT_SYMLINK_NOFOLLOW) == 0, info.st_dev == device else {
          continue
        }
        usage.bytes += UInt64(max(0, info.st_blocks)) * 512
        usage.inodes += 1
        if info.st_mode & S_IFMT == S_IFDIR { left.append(directory + "/" + name) }
      }
    }
    return usage
  }
}
