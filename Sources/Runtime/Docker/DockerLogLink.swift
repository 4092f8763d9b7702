import CLinux
import Glibc

/// The symbolic link at the path where Kubernetes looks for a container's log; it leads to the engine's own file.
enum DockerLogLink {
  static func create(_ path: String, to target: String) throws(RuntimeError) {
    guard !path.isEmpty, !target.isEmpty else { return }
    createFolders(of: path)
    if isLink(path) { unlink(path) }
    guard symlink(target, path) == 0 else {
      throw RuntimeError(
        .internalError, operation: "StartContainer", message: "can't link \(path) to \(target): \(String(cString: strerror(errno)))")
    }
  }

  /// Removes the link, unless it leads to another container's log or is no link.
  static func remove(_ path: String, ofContainer id: String) {
    guard let target = destination(path), target.contains(id) else { return }
    unlink(path)
  }

  private static func destination(_ path: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = bytes.withUnsafeMutableBytes { buffer in
      buffer.bindMemory(to: CChar.self).baseAddress.map { readlink(path, $0, buffer.count) } ?? -1
    }
    return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
  }

  private static func isLink(_ path: String) -> Bool { destination(path) != nil }

  private static func createFolders(of path: String) {
    var index = path.startIndex
    while let slash = path[index...].dropFirst().firstIndex(of: "/") {
      mkdir(String(path[..<slash]), 0o755)
      index = slash
    }
  }
}
