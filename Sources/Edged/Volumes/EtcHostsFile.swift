import Glibc
import Runtime

/// A pod's `/etc/hosts`, shared by its containers.
public struct EtcHostsFile: Sendable, Hashable {
  private static let sizeLimit = 16 << 20

  public let hostPath: String

  public init(podUID: String, paths: NodePaths) { hostPath = paths.etcHosts(podUID: podUID) }

  public var mount: CRIMount {
    var mount = CRIMount()
    mount.hostPath = hostPath
    mount.containerPath = "/etc/hosts"
    return mount
  }

  /// Makes the file hold that text, with mode 0644.
  ///
  /// It is written in place: running containers have this very file mounted, and would go on with the old one if another
  /// took its name.
  /// - Returns: false if it did already; nothing is written then.
  @discardableResult
  public func write(_ content: String) throws(FileError) -> Bool {
    let bytes = Array(content.utf8)
    guard let status = try FileSystem.status(hostPath, followLinks: false) else {
      try FileSystem.create(hostPath, bytes, mode: 0o644)
      return true
    }
    guard status.kind == .file else {
      try FileSystem.removeTree(hostPath)
      try FileSystem.create(hostPath, bytes, mode: 0o644)
      return true
    }
    if status.size == bytes.count, status.mode == 0o644, try FileSystem.read(hostPath, limit: Self.sizeLimit) == bytes { return false }
    let file = try OpenFile(hostPath, O_RDWR | O_NOFOLLOW)
    try file.write(bytes)
    try file.truncate(to: Int64(bytes.count))
    try file.changeMode(0o644)
    return true
  }
}
