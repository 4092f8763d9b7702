import Glibc

@testable import EdgeHub

/// A folder of a test; gone with its last reference.
final class Folder: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/edgehub-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CertificateError.file("can't make a folder") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  var names: [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func write(_ name: String, _ text: String, mode: UInt32 = 0o644) throws {
    try DurableFile.write(file(name), Array(text.utf8), mode: mode)
  }

  func text(_ name: String) throws -> String? {
    try DurableFile.read(file(name)).map { String(decoding: $0, as: UTF8.self) }
  }

  func mode(_ name: String) -> UInt32 {
    var status = stat()
    return stat(file(name), &status) == 0 ? status.st_mode & 0o777 : 0
  }
}
