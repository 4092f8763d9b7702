import Glibc

/// One directory of a control group hierarchy.
struct CgroupDirectory: Sendable, Hashable {
  let path: String

  func appending(_ name: String) -> CgroupDirectory {
    CgroupDirectory(path: path + (path.hasSuffix("/") ? "" : "/") + name)
  }

  var exists: Bool { access(path, F_OK) == 0 }

  func has(_ file: String) -> Bool { access("\(path)/\(file)", F_OK) == 0 }

  /// Makes the directory if it isn't there; its parent must be.
  /// - Returns: Whether it is new.
  @discardableResult
  func make() throws(CgroupError) -> Bool {
    if mkdir(path, 0o755) == 0 { return true }
    let code = errno
    guard code == EEXIST else { throw CgroupError.system(operation: "mkdir", path: path, code: code) }
    return false
  }

  func read(_ file: String) throws(CgroupError) -> String { try Self.read("\(path)/\(file)") }

  /// The number in a file; nil for `max`.
  func number(_ file: String) throws(CgroupError) -> UInt64? { UInt64(try read(file).prefix { $0.isNumber }) }

  /// A number in a file of lines `key value`; 0 if there is no such line.
  func number(_ key: String, in file: String) throws(CgroupError) -> UInt64 {
    for line in try read(file).split(separator: "\n") where line.hasPrefix(key + " ") {
      return UInt64(line.dropFirst(key.count + 1)) ?? 0
    }
    return 0
  }

  func write(_ value: String, to file: String) throws(CgroupError) {
    let path = "\(path)/\(file)"
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CgroupError.system(operation: "open", path: path, code: errno) }
    defer { close(descriptor) }
    // The kernel takes a value in one piece or not at all.
    while Glibc.write(descriptor, value, value.utf8.count) < 0 {
      let code = errno
      guard code == EINTR else { throw CgroupError.system(operation: "write \(value) to", path: path, code: code) }
    }
  }

  /// The processes in this group alone. A group that is gone has none.
  func processes() throws(CgroupError) -> [Int32] {
    do {
      return try read("cgroup.procs").split(separator: "\n").compactMap { Int32($0) }
    } catch .system(_, _, let code) where code == ENOENT || code == ENODEV || code == EOPNOTSUPP {
      return []
    }
  }

  /// The groups in this one. A group that is gone has none.
  func children() -> [CgroupDirectory] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var children: [CgroupDirectory] = []
    while let entry = readdir(stream) {
      guard Int(entry.pointee.d_type) == Int(DT_DIR) else { continue }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { children.append(appending(name)) }
    }
    return children
  }

  var name: String { String(path.split(separator: "/").last ?? "") }

  /// This group and all below it, the innermost first.
  func tree() -> [CgroupDirectory] { children().flatMap { $0.tree() } + [self] }

  /// The whole text of a file of the kernel's, whose size isn't known before it is read.
  static func read(_ path: String) throws(CgroupError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CgroupError.system(operation: "open", path: path, code: errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      if count > 0 {
        bytes.append(contentsOf: buffer[..<count])
      } else if errno != EINTR {
        throw CgroupError.system(operation: "read", path: path, code: errno)
      }
    }
  }
}
