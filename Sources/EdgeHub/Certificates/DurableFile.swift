import Glibc

/// Files that are there as a whole or not at all, also after the power went.
enum DurableFile {
  /// The bytes of a file; nil if there is none.
  static func read(_ path: String, limit: Int = 1 << 20) throws(CertificateError) -> [UInt8]? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw failure("open", path)
    }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("read", path) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      guard bytes.count <= limit else { throw .file("\(path) is longer than the \(limit) bytes that are allowed") }
    }
  }

  /// Writes a file beside its place and moves it there.
  static func replace(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(CertificateError) {
    let draft = "\(path).tmp"
    try write(draft, bytes, mode: mode)
    try move(draft, to: path)
  }

  /// Writes a file in place, through to the disk.
  static func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(CertificateError) {
    unlink(path)
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard file >= 0 else { throw failure("create", path) }
    defer { close(file) }
    guard fchmod(file, mode) == 0 else { throw failure("change the mode of", path) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("write", path) }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0 else { throw failure("write", path) }
  }

  static func move(_ path: String, to target: String) throws(CertificateError) {
    guard rename(path, target) == 0 else { throw failure("move \(path) to", target) }
    let folder = open(parent(of: target), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  /// Makes the folder that a file is to be in, and those above it.
  static func makeFolder(of path: String) throws(CertificateError) {
    let folder = parent(of: path)
    if mkdir(folder, 0o755) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, folder != "/" else { throw failure("create the directory", folder) }
    try makeFolder(of: folder)
    guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw failure("create the directory", folder) }
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func failure(_ what: String, _ path: String) -> CertificateError {
    .file("can't \(what) \(path): \(String(cString: strerror(errno)))")
  }
}
