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
  public func link(pod: String, namespace: String, container: String, containerID: String, to log: String) throws(LogError) {
    let path = path(pod: pod, namespace: namespace, container: container, containerID: containerID)
    if mkdir(directory, 0o755) != 0, errno != EEXIST { throw LogError("mkdir", directory) }
    guard symlink(log, path) != 0 else { return }
    guard errno == EEXIST else { throw LogError("symlink", path) }
    guard unlink(path) == 0 || errno == ENOENT, symlink(log, path) == 0 else { throw LogError("symlink", path) }
  }

  public func remove(pod: String, namespace: String, container: String, containerID: String) throws(LogError) {
    let path = path(pod: pod, namespace: namespace, container: container, containerID: containerID)
    guard unlink(path) == 0 || errno == ENOENT else { throw LogError("unlink", path) }
  }

  /// Removes the links whose log is gone.
  /// - Parameter running: ids of running containers, whose links stay: a log is missing for a moment while it is rotated.
  public func removeDead(running: Set<String>) {
    for name in LogDirectory.names(in: directory) where name.hasSuffix(".log") {
      let path = directory + "/" + name
      var info = stat()
      guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFLNK else { continue }
      guard stat(path, &info) != 0, errno == ENOENT || errno == ENOTDIR else { continue }
      let id = name.dropLast(".log".count).split(separator: "-").last ?? ""
      // A long name may have lost the end of its id.
      guard id.isEmpty || !running.contains(where: { $0.hasPrefix(id) }) else { continue }
      unlink(path)
    }
  }
}
