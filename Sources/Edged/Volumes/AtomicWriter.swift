import Glibc
import KubernetesAPI

/// Writes a set of files into a directory so that readers see all the old ones or all the new ones.
///
/// The files are in a directory named after the time, `..data` links to it, and the names that users see link into `..data`;
/// an update writes a new directory and renames a new link over `..data`.
struct AtomicWriter: Sendable {
  struct File: Sendable, Hashable {
    var bytes: [UInt8]
    /// Permission bits.
    var mode: UInt32
    /// The user that it belongs to; the agent's if nil.
    var owner: UInt32?
  }

  private static let dataLink = "..data"
  private static let newDataLink = "..data_tmp"

  let directory: String
  let ownership: VolumeOwnership?

  /// Makes the directory hold exactly these files.
  /// - Parameter payload: files by path below the directory.
  /// - Returns: false if it did already; nothing is written then.
  @discardableResult
  func write(_ payload: [String: File]) throws -> Bool {
    var files: [String: File] = [:]
    for (path, file) in payload { files[try Self.normalized(path)] = file }
    try Self.checkOverlaps(files)
    let names = Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) })
    let old = try FileSystem.readLink(directory + "/" + Self.dataLink)
    if let old, Self.isDataDirectory(old), try holds(files, in: directory + "/" + old) {
      return try publishNames(names)
    }
    let new = try writeDataDirectory(files)
    do {
      let link = directory + "/" + Self.newDataLink
      try FileSystem.remove(link)
      try makeLink(link, to: new)
      try FileSystem.rename(link, to: directory + "/" + Self.dataLink)
    } catch {
      try? FileSystem.removeTree(directory + "/" + new)
      throw error
    }
    try publishNames(names)
    // The old directory, and what an update that was interrupted left behind.
    for name in try FileSystem.list(directory) where name.hasPrefix("..") && name != Self.dataLink && name != new {
      try FileSystem.removeTree(directory + "/" + name)
    }
    return true
  }

  /// A relative path in its shortest form.
  static func normalized(_ path: String) throws(VolumeError) -> String {
    let parts = path.split(separator: "/").filter { $0 != "." }
    guard !path.hasPrefix("/"), !parts.isEmpty else { throw VolumeError("path \"\(path)\" must be relative and not empty") }
    guard !parts.contains("..") else { throw VolumeError("path \"\(path)\" must not contain \"..\"") }
    guard !parts[0].hasPrefix("..") else { throw VolumeError("path \"\(path)\" must not start with \"..\"") }
    guard path.utf8.count < 4096, parts.allSatisfy({ $0.utf8.count <= 255 }) else {
      throw VolumeError("path \"\(path.prefix(64))…\" is too long: at most 4095 bytes, and 255 for each part")
    }
    return parts.joined(separator: "/")
  }

  /// A path can't be a file and the directory of another file.
  private static func checkOverlaps(_ files: [String: File]) throws(VolumeError) {
    for path in files.keys {
      var parent = FileSystem.parent(of: path)
      while let directory = parent {
        if files[directory] != nil { throw VolumeError("path \"\(directory)\" can't be a file: \"\(path)\" is below it") }
        parent = FileSystem.parent(of: directory)
      }
    }
  }

  private static func isDataDirectory(_ name: String) -> Bool { name.hasPrefix("..") && name != ".." && !name.contains("/") }

  /// Whether a data directory has these files and no others, as they should be.
  private func holds(_ files: [String: File], in data: String) throws(FileError) -> Bool {
    guard try FileSystem.status(data, followLinks: false)?.kind == .directory else { return false }
    for (path, file) in files {
      guard let status = try FileSystem.status(data + "/" + path, followLinks: false), status.kind == .file,
        status.size == file.bytes.count, status.mode == ownership?.mode(file.mode, isDirectory: false) ?? file.mode,
        ownership == nil || status.groupID == ownership?.group, file.owner == nil || status.userID == file.owner,
        try FileSystem.read(data + "/" + path, limit: file.bytes.count) == file.bytes
      else { return false }
    }
    var count = 0
    try DirectoryWalk.run(data, mounts: .skip) { item throws(FileError) in
      if item.step == .file { count += 1 }
    }
    return count == files.count
  }

  /// - Returns: the new directory's name.
  private func writeDataDirectory(_ files: [String: File]) throws(FileError) -> String {
    var time = Timestamp.now.description
    time.removeLast()
    let digits = String(time.map { "-:T".contains($0) ? "_" : $0 })
    let name = "..\(digits).\(FileSystem.randomHex(digits: 10))"
    let data = directory + "/" + name
    try FileSystem.makeDirectory(data, mode: 0o755)
    do throws(FileError) {
      for (path, file) in files {
        let target = data + "/" + path
        if path.contains("/"), let parent = FileSystem.parent(of: target) { try FileSystem.makeDirectories(parent, mode: 0o755) }
        try FileSystem.create(target, file.bytes, mode: file.mode)
        if let owner = file.owner { try FileSystem.changeOwner(target, user: owner, group: nil) }
      }
      try ownership?.apply(to: directory)
    } catch {
      try? FileSystem.removeTree(data)
      throw error
    }
    return name
  }

  /// Makes the names that users see, and removes those that stand for nothing any more.
  /// - Returns: whether anything had to be done.
  @discardableResult
  private func publishNames(_ names: Set<String>) throws(FileError) -> Bool {
    var changed = false
    for name in names {
      let link = directory + "/" + name
      let target = Self.dataLink + "/" + name
      if try FileSystem.readLink(link) == target { continue }
      try FileSystem.removeTree(link)
      try makeLink(link, to: target)
      changed = true
    }
    for name in try FileSystem.list(directory) where !name.hasPrefix("..") && !names.contains(name) {
      let link = directory + "/" + name
      guard try FileSystem.readLink(link)?.hasPrefix(Self.dataLink + "/") == true else { continue }
      try FileSystem.remove(link)
      changed = true
    }
    return changed
  }

  private func makeLink(_ path: String, to target: String) throws(FileError) {
    try FileSystem.makeSymbolicLink(path, to: target)
    if let ownership { try FileSystem.changeOwner(path, user: nil, group: ownership.group) }
  }
}
