import CLinux
import Glibc
import Runtime

/// Mounting and unmounting (mount(2)).
enum Mount {
  /// Makes a file or directory visible at a second place; `source` may be `/proc/self/fd/<n>`.
  static func bind(_ source: String, at target: String, recursively: Bool = false) throws(FileError) {
    let flags = UInt(MS_BIND | (recursively ? MS_REC : 0))
    guard mount(source, target, nil, flags, nil) == 0 else { throw .last("bind mount", target) }
  }

  /// - Parameter size: bytes; nil leaves the kernel's default, half of the memory.
  static func tmpfs(at target: String, size: Int64?) throws(FileError) {
    let options = size.map { "size=\($0)" } ?? ""
    // What was meant to stay in memory must not end up on a disk; kernels before 6.4 don't know the option.
    let withoutSwap = options.isEmpty ? "noswap" : options + ",noswap"
    if mount("tmpfs", target, "tmpfs", 0, withoutSwap) == 0 { return }
    guard errno == EINVAL, mount("tmpfs", target, "tmpfs", 0, options) == 0 else { throw .last("mount tmpfs (\(options)) on", target) }
  }

  /// - Parameter pageSize: bytes.
  static func hugePages(at target: String, pageSize: Int64) throws(FileError) {
    let options = "pagesize=\(pageSize)"
    guard mount("nodev", target, "hugetlbfs", 0, options) == 0 else { throw .last("mount hugetlbfs (\(options)) on", target) }
  }

  /// Makes mounts below `path` appear at its copies in other mount namespaces and the other way round.
  static func makeShared(_ path: String) throws(FileError) {
    guard mount(nil, path, nil, UInt(MS_SHARED | MS_REC), nil) == 0 else { throw .last("make shared mount of", path) }
  }

  /// Takes away what is mounted at `path`; nothing mounted there is no error.
  ///
  /// A mount that a process still has its working directory in is taken away from the path at once, and ends with its last user.
  static func unmount(_ path: String) throws(FileError) {
    if umount2(path, Int32(UMOUNT_NOFOLLOW)) == 0 || errno == EINVAL || errno == ENOENT { return }
    if errno == EBUSY, umount2(path, Int32(UMOUNT_NOFOLLOW | MNT_DETACH)) == 0 { return }
    throw .last("unmount", path)
  }

  /// Whether a file system of its own is mounted at `path`; bind mounts from the same file system don't count.
  static func isFileSystemRoot(_ path: String) throws(FileError) -> Bool {
    guard let here = try FileSystem.status(path, followLinks: false), here.kind == .directory,
      let above = try FileSystem.status(path + "/..")
    else { return false }
    return here.device != above.device
  }
}

/// The mounts of this process's namespace, in the order they were made (/proc/self/mountinfo).
struct MountTable {
  struct Entry: Hashable {
    /// Where it is mounted, without symbolic links.
    var path: String
    /// Whether mounts below it reach other namespaces.
    var isShared: Bool
  }

  var entries: [Entry]

  static func read() throws(FileError) -> MountTable {
    let bytes = try FileSystem.read("/proc/self/mountinfo", limit: 64 << 20) ?? []
    return MountTable(text: bytes)
  }

  init(text: [UInt8]) {
    entries = text.split(separator: UInt8(ascii: "\n")).compactMap { line in
      // id parent device root path options optional-fields… - type source options
      let fields = line.split(separator: UInt8(ascii: " "))
      guard fields.count > 6 else { return nil }
      let optional = fields[6...].prefix { !$0.elementsEqual("-".utf8) }
      return Entry(path: MountInfo.unescape(fields[4]), isShared: optional.contains { $0.starts(with: "shared:".utf8) })
    }
  }

  /// Paths of mounts at or below a directory, the one made last first: the order to unmount them in.
  func paths(below directory: String) -> [String] {
    entries.map(\.path).filter { $0 == directory || $0.hasPrefix(directory + "/") }.reversed()
  }

  /// The mount that a path without symbolic links is on.
  func mount(of path: String) -> Entry? {
    entries.filter { $0.path == "/" || $0.path == path || path.hasPrefix($0.path + "/") }
      .enumerated().max { ($0.element.path.utf8.count, $0.offset) < ($1.element.path.utf8.count, $1.offset) }?.element
  }
}
