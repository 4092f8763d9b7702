import CLinux
import Glibc

/// Visits everything below a directory without ever following a symbolic link or entering another file system.
///
/// Depth costs memory but neither stack nor file descriptors, since containers choose how deep they nest directories: one
/// descriptor is open at a time, and the way up is `..`, checked to be the directory that we came down from.
struct DirectoryWalk {
  enum Step: Sendable {
    /// Anything but a directory.
    case file
    /// A directory, before its contents.
    case enter
    /// A directory, after its contents.
    case leave
  }

  /// One entry as the visitor gets it: a name in an open directory, for the `…at` system calls.
  struct Item {
    var directory: Int32
    /// As the file system has it, which need not be UTF-8, with a zero at the end.
    var name: [CChar]
    var step: Step
    fileprivate var above: [UInt8]
    /// For errors.
    var path: String { String(decoding: above, as: UTF8.self) + "/" + DirectoryEntry.text(of: name) }
  }

  /// What to do about directories that something else is mounted on.
  enum Mounts: Sendable {
    /// They are visited, what is mounted on them isn't.
    case skip
    /// They are an error (EBUSY).
    case refuse
  }

  /// Visits what is below `root`, not `root` itself.
  static func run(_ root: String, mounts: Mounts, _ visit: (Item) throws(FileError) -> Void) throws(FileError) {
    let position = Position(try OpenFile(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, operation: "open directory"), path: root)
    let device = try position.root.status().device
    try position.readEntries(visit)
    while true {
      if let name = position.pending.popLast() {
        try visit(position.item(name, .enter))
        let child = openat(position.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard child >= 0 else {
          if errno == ENOENT { continue }
          throw .last("open directory", position.item(name, .enter).path)
        }
        if isMount(child, device: device) {
          close(child)
          if mounts == .refuse { throw FileError("enter mounted directory", position.item(name, .enter).path, code: EBUSY) }
          try visit(position.item(name, .leave))
        } else {
          try position.descend(to: child, name: name)
          try position.readEntries(visit)
        }
      } else {
        guard let name = try position.ascend() else { return }
        try visit(position.item(name, .leave))
      }
    }
  }

  private static func isMount(_ descriptor: Int32, device: UInt64) -> Bool {
    var info = stat()
    guard fstat(descriptor, &info) == 0, UInt64(info.st_dev) == device else { return true }
    // A bind mount from the same file system shows no other device; the kernel tells since 5.8.
    var extended = statx()
    guard statx(descriptor, "", AT_EMPTY_PATH, 0, &extended) == 0 else { return false }
    return extended.stx_attributes & UInt64(STATX_ATTR_MOUNT_ROOT) != 0
  }

  /// Where the walk is: the open directory, and the way back.
  private final class Position {
    struct Level {
      var name: [CChar]
      var pending: [[CChar]]
      var pathLength: Int
      var device: dev_t
      var inode: ino_t
    }

    let root: OpenFile
    private(set) var descriptor: Int32
    private(set) var path: [UInt8]
    /// Directories here that are still to be visited.
    var pending: [[CChar]] = []
    private var above: [Level] = []

    init(_ root: consuming OpenFile, path: String) {
      self.descriptor = root.descriptor
      self.root = root
      self.path = Array(path.utf8)
    }

    deinit { if descriptor != root.descriptor { close(descriptor) } }

    var pathText: String { String(decoding: path, as: UTF8.self) }

    func item(_ name: [CChar], _ step: Step) -> Item { Item(directory: descriptor, name: name, step: step, above: path) }

    /// Visits all but directories, and notes these.
    func readEntries(_ visit: (Item) throws(FileError) -> Void) throws(FileError) {
      for entry in try DirectoryEntry.readAll(in: descriptor, path: pathText) {
        if entry.isDirectory(in: descriptor) {
          pending.append(entry.name)
        } else {
          try visit(item(entry.name, .file))
        }
      }
    }

    /// Takes over the open directory `child`.
    func descend(to child: Int32, name: [CChar]) throws(FileError) {
      var info = stat()
      guard fstat(descriptor, &info) == 0 else {
        let error = FileError.last("stat", pathText)
        close(child)
        throw error
      }
      above.append(Level(name: name, pending: pending, pathLength: path.count, device: info.st_dev, inode: info.st_ino))
      pending = []
      move(to: child)
      path.append(UInt8(ascii: "/"))
      path.append(contentsOf: name.dropLast().lazy.map(UInt8.init(bitPattern:)))
    }

    /// - Returns: the name of the directory that was left; nil at the root.
    func ascend() throws(FileError) -> [CChar]? {
      guard let level = above.popLast() else { return nil }
      let parent = openat(descriptor, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard parent >= 0 else { throw .last("open directory above", pathText) }
      var info = stat()
      guard fstat(parent, &info) == 0, info.st_dev == level.device, info.st_ino == level.inode else {
        close(parent)
        // Someone moved the directory while we were in it.
        throw FileError("return from moved directory", pathText, code: ESTALE)
      }
      move(to: parent)
      path.removeLast(path.count - level.pathLength)
      pending = level.pending
      return level.name
    }

    private func move(to directory: Int32) {
      if descriptor != root.descriptor { close(descriptor) }
      descriptor = directory
    }
  }
}

/// One name in a directory.
struct DirectoryEntry {
  /// As the file system has it, with a zero at the end.
  var name: [CChar]
  /// DT_…; file systems may leave it at DT_UNKNOWN.
  var type: UInt8

  /// The name as text; what is no UTF-8 is repaired.
  var text: String { Self.text(of: name) }

  static func text(of name: [CChar]) -> String {
    String(decoding: name.dropLast().lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// All but `.` and `..`.
  static func readAll(in directory: Int32, path: String) throws(FileError) -> [DirectoryEntry] {
    let copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0 else { throw .last("list", path) }
    guard let stream = fdopendir(copy) else {
      let error = FileError.last("list", path)
      close(copy)
      throw error
    }
    defer { closedir(stream) }
    return try readAll(stream, path: path)
  }

  static func readAll(_ directory: OpaquePointer, path: String) throws(FileError) -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    while true {
      errno = 0
      guard let entry = readdir(directory) else {
        if errno != 0 { throw .last("list", path) }
        return entries
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1)) }
      }
      if name != [0x2E, 0] && name != [0x2E, 0x2E, 0] { entries.append(DirectoryEntry(name: name, type: entry.pointee.d_type)) }
    }
  }

  func isDirectory(in directory: Int32) -> Bool {
    if type != UInt8(DT_UNKNOWN) { return type == UInt8(DT_DIR) }
    var info = stat()
    return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_mode & S_IFMT == S_IFDIR
  }
}
