import Glibc
import Testing

/// A folder of a test's own, which goes with it.
final class Scratch: Sendable {
  let directory: String

  init() {
    var template = Array("/tmp/edgecore-sqlite-XXXXXX".utf8CString)
    _ = mkdtemp(&template)
    directory = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    if let entries = opendir(directory) {
      while let entry = readdir(entries) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
        }
        unlink(directory + "/" + name)
      }
      closedir(entries)
    }
    rmdir(directory)
  }

  func file(_ name: String) -> String { directory + "/" + name }

  func size(_ path: String) throws -> Int {
    var info = stat()
    try #require(stat(path, &info) == 0)
    return Int(info.st_size)
  }

  func overwrite(_ path: String, from offset: Int, _ bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
  }
}
