import CLinux
import Glibc

/// Files and directories by path. Every failure is a `FileError` that names the operation and the path.
///
/// Modes are set explicitly, so that the process's umask has no part in them. All calls may block.
public enum FileSystem {
  /// What is at that path; nil if nothing is.
  /// - Parameter followLinks: a symbolic link stands for what it points to.
  public static func status(_ path: String, followLinks: Bool = true) throws(FileError) -> FileStatus? {
    var info = stat()
    let result = followLinks ? stat(path, &info) : lstat(path, &info)
    if result == 0 { return FileStatus(info) }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw .last("stat", path)
  }

  /// Creates one directory with exactly that mode.
  /// - Returns: false if it was there already; its mode is left alone then.
  @discardableResult
  public static func makeDirectory(_ path: String, mode: UInt32) throws(FileError) -> Bool {
    if mkdir(path, mode) == 0 {
      guard chmod(path, mode) == 0 else {
        let error = FileError.last("change mode of", path)
        rmdir(path)
        throw error
      }
      return true
    }
    guard errno == EEXIST else { throw .last("create directory", path) }
    guard try status(path)?.kind == .directory else { throw FileError("create directory", path, code: ENOTDIR) }
    return false
  }

  /// Creates a directory and the missing ones above it, all with that mode.
  /// - Returns: false if it was there already.
  @discardableResult
  public static func makeDirectories(_ path: String, mode: UInt32) throws(FileError) -> Bool {
    do throws(FileError) {
      return try makeDirectory(path, mode: mode)
    } catch  where error.code == ENOENT {
      guard let parent = parent(of: path) else { throw error }
      try makeDirectories(parent, mode: mode)
      return try makeDirectory(path, mode: mode)
    }
  }

  /// Names in a directory in the order of their bytes, without `.` and `..`; empty if the directory is missing.
  public static func list(_ path: String) throws(FileError) -> [String] {
    guard let directory = opendir(path) else {
      if errno == ENOENT { return [] }
      throw .last("list", path)
    }
    defer { closedir(directory) }
    return try DirectoryEntry.readAll(directory, path: path).map(\.text).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The bytes of a file, which may have `limit` at most: a longer one is an error (EFBIG).
  /// - Returns: nil if there is none.
  public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8]? {
    do throws(FileError) {
      let file = try OpenFile(path, O_RDONLY)
      let bytes = try file.read(limit: limit + 1)
      guard bytes.count <= limit else { throw FileError("read", path, code: EFBIG) }
      return bytes
    } catch  where error.code == ENOENT {
      return nil
    }
  }

  /// Writes a new file with exactly that mode; what is at the path already is an error (EEXIST), a symbolic link too.
  /// A file that can't be written whole is removed again.
  public static func create(_ path: String, _ bytes: some Collection<UInt8>, mode: UInt32) throws(FileError) {
    let file = try OpenFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600, operation: "create")
    do {
      try file.write(bytes)
      try file.changeMode(mode)
    } catch {
      unlink(path)
      throw error
    }
  }

  /// Puts a file in place, or replaces one, so that readers see the old bytes or the new ones and nothing in between.
  /// - Parameter durable: the bytes are on the disk when this returns; a power cut leaves the old file or the new one.
  public static func replace(_ path: String, with bytes: some Collection<UInt8>, mode: UInt32, durable: Bool = true) throws(FileError) {
    let temporary = "\(path).\(randomHex(digits: 8)).tmp"
    try create(temporary, bytes, mode: mode)
    do {
      if durable { try OpenFile(temporary, O_WRONLY).synchronize() }
      try rename(temporary, to: path)
    } catch {
      unlink(temporary)
      throw error
    }
    if durable, let parent = parent(of: path) { try OpenFile(parent, O_RDONLY | O_DIRECTORY).synchronize() }
  }

  public static func rename(_ path: String, to newPath: String) throws(FileError) {
    guard Glibc.rename(path, newPath) == 0 else { throw .last("rename to \(newPath)", path) }
  }

  public static func makeSymbolicLink(_ path: String, to target: String) throws(FileError) {
    guard symlink(target, path) == 0 else { throw .last("create symbolic link", path) }
  }

  /// Where a symbolic link points; nil if there is nothing, or no link.
  public static func readLink(_ path: String) throws(FileError) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(path, &buffer, buffer.count)
    if count >= 0 { return String(decoding: buffer[..<count].lazy.map(UInt8.init(bitPattern:)), as: UTF8.self) }
    if errno == ENOENT || errno == EINVAL || errno == ENOTDIR { return nil }
    throw .last("read symbolic link", path)
  }

  /// The path without symbolic links; the path itself if there is nothing at it.
  public static func resolved(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  /// Removes a file, a link or an empty directory; nothing to remove is no error.
  public static func remove(_ path: String) throws(FileError) {
    if unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR { return }
    guard errno == EISDIR || errno == EPERM else { throw .last("remove", path) }
    if rmdir(path) == 0 || errno == ENOENT { return }
    throw .last("remove directory", path)
  }

  public static func changeMode(_ path: String, _ mode: UInt32) throws(FileError) {
    guard chmod(path, mode) == 0 else { throw .last("change mode of", path) }
  }

  /// Changes the owner of a file or of a symbolic link itself; nil leaves the user or the group as it is.
  public static func changeOwner(_ path: String, user: UInt32?, group: UInt32?) throws(FileError) {
    guard lchown(path, user ?? .max, group ?? .max) == 0 else { throw .last("change owner of", path) }
  }

  /// Space of the file system that a path is on.
  public static func space(_ path: String) throws(FileError) -> FileSystemSpace {
    var info = statfs()
    guard statfs(path, &info) == 0 else { throw .last("statfs", path) }
    let block = UInt64(clamping: info.f_frsize != 0 ? info.f_frsize : info.f_bsize)
    return FileSystemSpace(
      capacityBytes: UInt64(info.f_blocks) * block, availableBytes: UInt64(info.f_bavail) * block, freeBytes: UInt64(info.f_bfree) * block,
      inodes: UInt64(info.f_files), freeInodes: UInt64(info.f_ffree))
  }

  /// The path up to its last component; nil for `/` and for a name without a directory.
  static func parent(of path: String) -> String? {
    var path = Substring(path)
    while path.count > 1, path.last == "/" { path.removeLast() }
    guard path != "/", let slash = path.lastIndex(of: "/") else { return nil }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  static func randomHex(digits: Int) -> String {
    let text = String(UInt64.random(in: .min ... .max), radix: 16)
    return String((String(repeating: "0", count: 16) + text).suffix(digits))
  }
}

/// Space of a file system.
public struct FileSystemSpace: Sendable, Hashable {
  public var capacityBytes: UInt64
  /// What processes without privileges may still write.
  public var availableBytes: UInt64
  public var freeBytes: UInt64
  public var inodes: UInt64
  public var freeInodes: UInt64
}
