import Glibc

/// What a person gives to a command.
enum InputFile {
  /// The bytes of a file, a pipe or, for `-`, the standard input.
  ///
  /// - Throws: `CommandFailure`.
  static func read(_ path: String) throws -> [UInt8] {
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path) }
    defer { if path != "-" { close(descriptor) } }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  private static func failure(_ path: String) -> CommandFailure {
    CommandFailure("can't read \(path): \(String(cString: strerror(errno)))")
  }
}
