import Glibc

/// What the system knows about a file (stat).
public struct FileStatus: Sendable, Hashable {
  public enum Kind: Sendable, Hashable {
    case file, directory, symbolicLink, socket, pipe, characterDevice, blockDevice, other
  }

  public var kind: Kind
  /// Permission bits with setuid, setgid and sticky (07777).
  public var mode: UInt32
  public var userID: UInt32
  public var groupID: UInt32
  /// Bytes.
  public var size: Int64
  /// Bytes used on the disk.
  public var usedBytes: Int64
  public var device: UInt64
  public var inode: UInt64
  /// Names that the file has.
  public var links: UInt64
  /// Nanoseconds since the epoch.
  public var modified: Int64
  /// Of its contents or of what this says about it; nanoseconds since the epoch.
  public var changed: Int64

  init(_ info: stat) {
    kind =
      switch info.st_mode & S_IFMT {
      case S_IFREG: .file
      case S_IFDIR: .directory
      case S_IFLNK: .symbolicLink
      case S_IFSOCK: .socket
      case S_IFIFO: .pipe
      case S_IFCHR: .characterDevice
      case S_IFBLK: .blockDevice
      default: .other
      }
    mode = UInt32(info.st_mode & 0o7777)
    userID = info.st_uid
    groupID = info.st_gid
    size = Int64(info.st_size)
    usedBytes = Int64(info.st_blocks) * 512
    device = UInt64(info.st_dev)
    inode = UInt64(info.st_ino)
    links = UInt64(info.st_nlink)
    changed = Int64(info.st_ctim.tv_sec) * 1_000_000_000 + Int64(info.st_ctim.tv_nsec)
    modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
  }

  /// Whether both are one and the same file.
  func isSame(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}
