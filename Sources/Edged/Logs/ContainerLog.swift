import KubernetesAPI
import Runtime

/// The log of one instance of a container, for whoever may read logs.
struct ContainerLog: Sendable {
  var runtime: any ContainerRuntime
  var view: RuntimeView
  var podUID: String
  /// Without scheme.
  var containerID: String

  /// Opens the file that the engine says it writes. Only a regular file is read, in the very directory that the engine named: pods may
  /// be able to write below the log directory, and must not make the agent read other files to them.
  /// - Parameter follow: goes on until the container has ended.
  func reader(_ options: LogOptions, follow: Bool) async throws -> LogReader {
    let path = try await runtime.logFile(ofContainer: containerID)
    let view = view
    let id = containerID
    let uid = podUID
    let ended: @Sendable () async -> Void = { await view.waitUntilEnded(id, of: uid) }
    return try LogReader(
      path: path, below: Self.root(of: path, scheme: runtime.scheme), options: options, followUntil: follow ? ended : nil)
  }

  /// The directory above what pods' names are part of. Docker has its logs where pods have no business at all.
  static func root(of path: String, scheme: String) -> String? {
    var root = FileSystem.parent(of: path)
    // <root>/<namespace>_<pod>_<uid>/<container>/<n>.log
    if scheme != "docker" { root = root.flatMap(FileSystem.parent).flatMap(FileSystem.parent) }
    return root ?? "/"
  }
}
