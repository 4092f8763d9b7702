import Glibc

/// The files of containers' logs: `<n>.log` of the start number n, and its rotated predecessors `<n>.log.<time>[.gz]`.
public enum LogDirectory {
  /// The highest start number that left a log in a container's directory; nil if none did.
  public static func highestLogNumber(_ directory: String) -> Int? {
    names(in: directory).compactMap { name in
      guard let dot = name.firstIndex(of: ".") else { return nil }
      let suffix = name[dot...]
      guard suffix == ".log" || suffix.hasPrefix(".log.") else { return nil }
      return name[..<dot].utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(name[..<dot]) : nil
    }.max()
  }

  /// The paths of a log's rotated files, eldest first.
  static func rotated(of path: String) -> [String] {
    guard let slash = path.lastIndex(of: "/") else { return [] }
    let directory = path[..<slash]
    let prefix = path[path.index(after: slash)...] + "."
    return names(in: directory.isEmpty ? "/" : String(directory)).filter { $0.hasPrefix(prefix) }.sorted().map { "\(directory)/\($0)" }
  }

  /// Removes a log and its rotated files.
  static func removeLog(_ path: String) throws(LogError) {
    for file in rotated(of: path) + [path] where unlink(file) != 0 && errno != ENOENT {
      throw LogError("unlink", file)
    }
  }

  /// The entries of a directory, without `.` and `..`, in no order; empty if there is no such directory.
  static func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Removes a directory and what is in it. Links are removed, not followed; another file system below makes it fail.
  static func removeTree(_ path: String) throws(LogError) {
    var info = stat()
    guard lstat(path, &info) == 0 else {
      if errno == ENOENT { return }
      throw LogError("lstat", path)
    }
    try removeTree(path, info, device: info.st_dev)
  }

  private static func removeTree(_ path: String, _ info: stat, device: dev_t) throws(LogError) {
    guard info.st_mode & S_IFMT == S_IFDIR else {
      guard unlink(path) == 0 || errno == ENOENT else { throw LogError("unlink", path) }
      return
    }
    guard info.st_dev == device else { throw LogError("remove", path, code: EXDEV) }
    for name in names(in: path) {
      let child = path + "/" + name
      var info = stat()
      guard lstat(child, &info) == 0 else { continue }
      try removeTree(child, info, device: device)
    }
    guard rmdir(path) == 0 || errno == ENOENT else { throw LogError("rmdir", path) }
  }
}
