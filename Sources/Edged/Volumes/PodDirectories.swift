import KubernetesAPI

/// The directories of the agent and of its pods.
public struct PodDirectories: Sendable {
  let paths: NodePaths

  public init(paths: NodePaths) { self.paths = paths }

  /// Makes the agent's root directory, and makes sure that what is mounted below it reaches containers that already run.
  public func prepareRoot() throws(FileError) {
    try FileSystem.makeDirectories(paths.root, mode: 0o750)
    for name in ["pods", "plugins"] { try FileSystem.makeDirectory(paths.root + "/" + name, mode: 0o750) }
    try FileSystem.makeDirectories(paths.podLogs, mode: 0o755)
    try FileSystem.makeDirectories(paths.containerLogs, mode: 0o755)
    let root = FileSystem.resolved(paths.root)
    guard let mount = try MountTable.read().mount(of: root), !mount.isShared else { return }
    if mount.path != root { try Mount.bind(root, at: root, recursively: true) }
    try Mount.makeShared(root)
  }

  /// Makes a pod's directories and its log directory; those that are there stay as they are.
  /// If one can't be made, those that were made go again.
  public func create(for pod: Pod) throws(FileError) {
    let directory = paths.pod(pod.uid)
    try FileSystem.makeDirectories(paths.pods, mode: 0o750)
    try FileSystem.makeDirectories(paths.podLogs, mode: 0o755)
    var wanted: [(path: String, mode: UInt32)] = [(directory, 0o750)]
    wanted += ["volumes", "plugins", "containers"].map { (directory + "/" + $0, 0o750) }
    wanted.append((paths.podLogDirectory(namespace: pod.namespace, name: pod.name, uid: pod.uid), 0o755))
    var made: [String] = []
    do throws(FileError) {
      for (path, mode) in wanted where try FileSystem.makeDirectory(path, mode: mode) { made.append(path) }
    } catch {
      for path in made.reversed() { try? FileSystem.remove(path) }
      throw error
    }
  }
}
