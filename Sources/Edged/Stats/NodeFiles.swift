import KubernetesAPI

/// What the files of the node and of its pods take up.
struct NodeFiles: Sendable {
  struct PodFiles: Sendable {
    /// By container name.
    var logs: [String: FileTreeUsage] = [:]
    /// By name, of those volumes that the agent made.
    var volumes: [String: Volume] = [:]
  }

  struct Volume: Sendable {
    var used: FileTreeUsage
    var fileSystem: FileSystemUsage?
    /// It counts as the pod's own use of the node's disk.
    var isLocal: Bool
  }

  /// When they were counted.
  var time: Timestamp
  /// Of the file system that the agent's files are on.
  var root: FileSystemUsage?
  /// Of the one that has the images, and what images take up there.
  var images: FileSystemUsage?
  var imageBytes: UInt64 = 0
  var imageInodes: UInt64 = 0
  /// By container ID: what a container wrote beside its volumes.
  var writableLayers: [String: FileTreeUsage] = [:]
  /// By UID.
  var pods: [String: PodFiles] = [:]
}

extension NodeFiles.PodFiles {
  /// Counts a pod's files.
  init(_ pod: Pod, _ paths: NodePaths) {
    let logDirectory = paths.podLogDirectory(namespace: pod.namespace, name: pod.name, uid: pod.uid)
    for container in NodeMachine.names(in: logDirectory) { logs[container] = FileTreeUsage.read(logDirectory + "/" + container) }
    let directory = paths.pod(pod.uid) + "/volumes"
    let specs = Dictionary((pod.spec.volumes ?? []).map { ($0.name, $0) }) { first, _ in first }
    for plugin in NodeMachine.names(in: directory) {
      for name in NodeMachine.names(in: directory + "/" + plugin) {
        let path = directory + "/" + plugin + "/" + name
        // Memory is no use of the disk.
        let isMemory = specs[name]?.emptyDir?.medium == "Memory" || plugin == "kubernetes.io~secret"
        volumes[name] = NodeFiles.Volume(used: FileTreeUsage.read(path), fileSystem: FileSystemUsage.read(path), isLocal: !isMemory)
      }
    }
  }
}
