import CLinux
import Glibc

/// Opens paths below a volume's root without ever leaving it.
///
/// Containers write symbolic links into volumes, also while we look. Each part is opened on its own, relative to the open
/// directory before it and without following links; a link is read and walked the same way, and must stay below the root.
struct SubPath: ~Copyable {
  /// Opened with O_PATH or for reading: good for `/proc/self/fd/<n>`.
  let descriptor: Int32
  let status: FileStatus

  /// - Parameter path: relative, without `..`.
  /// - Throws: `VolumeError` if the path leaves the root or is refused, `FileError` if a call fails.
  init(_ path: String, below root: String) throws {
    var walk = try Walk(root: root, path: path)
    defer { walk.closeAll() }
    while let part = walk.pending.popLast() { try walk.step(part) }
    guard let last = walk.open.popLast() else { throw VolumeError("subPath \"\(path)\" is empty") }
    var info = stat()
    guard fstat(last, &info) == 0 else {
      let error = FileError.last("stat", root + "/" + path)
      close(last)
      throw error
    }
    descriptor = last
    status = FileStatus(info)
  }

  deinit { close(descriptor) }

  /// What a `subPath` may not be, whatever is in the volume.
  static func check(_ path: String) throws(VolumeError) {
    guard !path.hasPrefix("/") else { throw VolumeError("error SubPath `\(path)` must not be an absolute path") }
    guard !path.split(separator: "/").contains("..") else {
      throw VolumeError("unable to provision SubPath `\(path)`: must not contain '..'")
    }
  }

  private struct Walk {
    let root: String
    let path: String
    /// Mode of directories that are created: the root's.
    let mode: UInt32
    /// Parts to come, last first.
    var pending: [String]
    /// Open directories from the root to here.
    var open: [Int32]
    var links = 0

    init(root: String, path: String) throws {
      let descriptor = Glibc.open(root, O_PATH | O_CLOEXEC)
      guard descriptor >= 0 else { throw FileError.last("open volume", root) }
      var info = stat()
      guard fstat(descriptor, &info) == 0 else {
        close(descriptor)
        throw FileError.last("stat", root)
      }
      self.root = root
      self.path = path
      self.mode = UInt32(info.st_mode & 0o777)
      self.pending = Self.parts(of: path)
      self.open = [descriptor]
    }

    private static func parts(of path: String) -> [String] {
      path.split(separator: "/").filter { $0 != "." }.reversed().map(String.init)
    }

    mutating func closeAll() {
      for descriptor in open { close(descriptor) }
      open = []
    }

    mutating func step(_ part: String) throws {
      guard let directory = open.last else { return }
      if part == ".." {
        guard open.count > 1 else { throw VolumeError("subPath \"\(path)\" leaves the volume through a symbolic link") }
        close(directory)
        open.removeLast()
        return
      }
      var child = openat(directory, part, O_PATH | O_NOFOLLOW | O_CLOEXEC)
      if child < 0, errno == ENOENT { child = try create(part, in: directory) }
      guard child >= 0 else { throw FileError.last("open \(part) of subPath", root + "/" + path) }
      var info = stat()
      guard fstat(child, &info) == 0 else {
        close(child)
        throw FileError.last("stat", root + "/" + path)
      }
      guard info.st_mode & S_IFMT == S_IFLNK else {
        open.append(child)
        return
      }
      defer { close(child) }
      try follow(child, part)
    }

    private mutating func follow(_ link: Int32, _ part: String) throws {
      links += 1
      guard links <= 40 else { throw FileError("open subPath", root + "/" + path, code: ELOOP) }
      var buffer = [CChar](repeating: 0, count: 4096)
      let count = readlinkat(link, "", &buffer, buffer.count)
      guard count >= 0 else { throw FileError.last("read symbolic link", root + "/" + path) }
      let target = String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard !target.hasPrefix("/") else {
        throw VolumeError("subPath \"\(path)\" leaves the volume through the symbolic link \"\(part)\"")
      }
      pending += Self.parts(of: target)
    }

    private func create(_ name: String, in directory: Int32) throws -> Int32 {
      guard mkdirat(directory, name, mode) == 0 || errno == EEXIST else {
        throw FileError.last("create directory \(name) of subPath", root + "/" + path)
      }
      let child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard child >= 0 else { throw FileError.last("open directory \(name) of subPath", root + "/" + path) }
      var info = stat()
      // The set-group-ID bit that the volume's fsGroup put on directories is inherited, and stays.
      guard fstat(child, &info) == 0, fchmod(child, mode | (info.st_mode & 0o2000)) == 0 else {
        let error = FileError.last("change mode of directory \(name) of subPath", root + "/" + path)
        close(child)
        throw error
      }
      return child
    }
  }
}
