import CLinux
import Glibc

/// Makes a volume accessible to a pod's `fsGroup`.
struct VolumeOwnership: Sendable, Hashable {
  var group: UInt32
  /// Whether the group may only read.
  var isReadOnly: Bool
  /// With the policy `OnRootMismatch`, a root that is right already stands for all below it.
  var trustsRoot = false

  /// The mode that a file or a directory of that mode gets.
  func mode(_ mode: UInt32, isDirectory: Bool) -> UInt32 {
    let access: UInt32 = isReadOnly ? 0o440 : 0o660
    return mode | access | (isDirectory ? 0o2110 : 0)
  }

  /// Changes a directory and all below it. The root is changed last, so that a change that was interrupted begins anew.
  func apply(to root: String) throws(FileError) {
    guard let status = try FileSystem.status(root, followLinks: false), status.kind == .directory else {
      throw FileError("change owner of", root, code: ENOTDIR)
    }
    if trustsRoot, matches(status) { return }
    try DirectoryWalk.run(root, mounts: .skip) { item throws(FileError) in
      if item.step != .leave { try apply(to: item) }
    }
    if !matches(status) {
      try FileSystem.changeOwner(root, user: nil, group: group)
      try FileSystem.changeMode(root, mode(status.mode, isDirectory: true))
    }
  }

  private func matches(_ status: FileStatus) -> Bool {
    status.groupID == group && status.mode == mode(status.mode, isDirectory: true)
  }

  private func apply(to item: DirectoryWalk.Item) throws(FileError) {
    // The descriptor pins the file, so that nobody can put a link in its place between looking and changing.
    let descriptor = openat(item.directory, item.name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return }
      throw .last("open", item.path)
    }
    defer { close(descriptor) }
    var info = stat()
    guard fstat(descriptor, &info) == 0 else { throw .last("stat", item.path) }
    let status = FileStatus(info)
    let wanted = status.kind == .symbolicLink ? status.mode : mode(status.mode, isDirectory: status.kind == .directory)
    if status.groupID == group && status.mode == wanted { return }
    guard fchownat(descriptor, "", .max, group, AT_EMPTY_PATH) == 0 else { throw .last("change owner of", item.path) }
    if status.kind == .symbolicLink { return }
    guard chmod("/proc/self/fd/\(descriptor)", wanted) == 0 else { throw .last("change mode of", item.path) }
  }
}
