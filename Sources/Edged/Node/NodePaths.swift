/// Where pods keep their files on the node; the layout is kubelet's.
public struct NodePaths: Sendable, Hashable {
  /// `rootDirectory`, by default `/var/lib/kubelet`.
  public var root: String
  /// `podLogsDir`, by default `/var/log/pods`.
  public var podLogs: String
  /// Links `<pod>_<namespace>_<container>-<id>.log` into `podLogs`, by default `/var/log/containers`.
  public var containerLogs: String

  public init(root: String, podLogs: String, containerLogs: String) {
    self.root = root
    self.podLogs = podLogs
    self.containerLogs = containerLogs
  }

  public var pods: String { root + "/pods" }
  public func pod(_ uid: String) -> String { "\(pods)/\(uid)" }
  /// `<root>/pods/<uid>/volumes/kubernetes.io~<plugin>/<volume>`
  public func volume(_ volume: String, plugin: String, podUID: String) -> String {
    "\(pod(podUID))/volumes/kubernetes.io~\(plugin)/\(volume)"
  }
  public func volumeSubpath(_ volume: String, container: String, index: Int, podUID: String) -> String {
    "\(pod(podUID))/volume-subpaths/\(volume)/\(container)/\(index)"
  }
  /// Holds one file of 8 hex digits per start of the container: its termination message.
  public func containerDirectory(_ container: String, podUID: String) -> String { "\(pod(podUID))/containers/\(container)" }
  public func etcHosts(podUID: String) -> String { "\(pod(podUID))/etc-hosts" }
  /// Archives of containers' states, which hold all of their memory.
  public var checkpoints: String { root + "/checkpoints" }
  /// Profiles of `securityContext.seccompProfile.localhostProfile` are below.
  public var seccomp: String { root + "/seccomp" }
  /// `<podLogs>/<namespace>_<name>_<uid>`
  public func podLogDirectory(namespace: String, name: String, uid: String) -> String { "\(podLogs)/\(namespace)_\(name)_\(uid)" }
  /// `<container>/<restartCount>.log`, relative to the pod's log directory.
  public func containerLogPath(container: String, restartCount: Int) -> String { "\(container)/\(restartCount).log" }
}
