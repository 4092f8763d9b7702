import Glibc

/// Links `<pod>_<namespace>_<container>-<id>.log` to containers' logs, in the directory that log collectors read.
public struct ContainerLogLinks: Sendable {
  /// By default `/var/log/containers`.
  public let directory: String

  public init(directory: String) { self.directory = directory }

  /// The link of a container. `containerID` is without scheme.
  public func path(pod: String, namespace: String, container: String, containerID: String) -> String {
    // A file's name has 255 bytes at most.
    let name = "\(pod)_\(namespace)_\(container)-\(containerID)".utf8.prefix(255 - ".log".utf8.count)
    return "\(directory)/\(Substring(name)).log"
  }

  /// Links to the container's log, in place of an older link of that name.
  public func link(pod: String, namespace: String, container: String, containerID: String, to log: String) throws(FileError) {
    let path = path(pod: pod, namespace: namespace, container: container, containerID: containerID)
    try FileSystem.makeDirectories(directory, mode: 0o755)
    do throws(FileError) {
      try FileSystem.makeSymbolicLink(path, to: log)
    } catch  where error.code == EEXIST {
      try FileSystem.remove(path)
      try FileSystem.makeSymbolicLink(path, to: log)
    }
  }

  /// Removes the link of a container; a link that is gone already is no error.
  public func remove(pod: String, namespace: String, container: String, containerID: String) throws(FileError) {
    try FileSystem.remove(path(pod: pod, namespace: namespace, container: container, containerID: containerID))
  }

  /// Removes the links whose log is gone.
  /// - Parameter running: ids of running containers, whose links stay: a log is missing for a moment while it is rotated.
  public func removeDead(running: Set<String>) throws(FileError) {
    for name in try FileSystem.list(directory) where name.hasSuffix(".log") {
      let path = directory + "/" + name
      guard try FileSystem.status(path, followLinks: false)?.kind == .symbolicLink, try FileSystem.status(path) == nil else { continue }
      let id = name.dropLast(".log".count).split(separator: "-").last ?? ""
      // A long name may have lost the end of its id.
      guard id.isEmpty || !running.contains(where: { $0.hasPrefix(id) }) else { continue }
      try FileSystem.remove(path)
    }
  }
}
