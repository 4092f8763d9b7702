import CLinux
import Glibc

extension FileSystem {
  /// Removes a directory and all below it, or a file; nothing to remove is no error.
  ///
  /// It never enters another file system nor a directory that something is mounted on: such a one is an error (EBUSY),
  /// and what is mounted there stays untouched.
  public static func removeTree(_ path: String) throws(FileError) {
    guard try status(path, followLinks: false)?.kind == .directory else { return try remove(path) }
    try DirectoryWalk.run(path, mounts: .refuse) { item throws(FileError) in
      switch item.step {
      case .file:
        guard unlinkat(item.directory, item.name, 0) == 0 || errno == ENOENT else { throw .last("remove", item.path) }
      case .leave:
        guard unlinkat(item.directory, item.name, AT_REMOVEDIR) == 0 || errno == ENOENT else {
          throw .last("remove directory", item.path)
        }
      case .enter: break
      }
    }
    try remove(path)
  }

  /// Bytes on the disk and inodes of all below a directory, itself included, without what is mounted below it.
  /// A file with several names counts once for each.
  public static func usage(_ path: String) throws(FileError) -> (bytes: Int64, inodes: Int64) {
    guard let root = try status(path, followLinks: false) else { return (0, 0) }
    var bytes = root.usedBytes
    var inodes: Int64 = 1
    guard root.kind == .directory else { return (bytes, inodes) }
    try DirectoryWalk.run(path, mounts: .skip) { item throws(FileError) in
      var info = stat()
      guard item.step != .leave, fstatat(item.directory, item.name, &info, AT_SYMLINK_NOFOLLOW) == 0 else { return }
      bytes += Int64(info.st_blocks) * 512
      inodes += 1
    }
    return (bytes, inodes)
  }
}
