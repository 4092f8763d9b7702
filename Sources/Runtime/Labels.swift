/// Labels and annotations on sandboxes and containers; the same as kubelet's, so that either agent adopts the other's pods.
public enum RuntimeLabel {
  public static let podName = "io.kubernetes.pod.name"
  public static let podNamespace = "io.kubernetes.pod.namespace"
  public static let podUID = "io.kubernetes.pod.uid"
  public static let containerName = "io.kubernetes.container.name"
}

public enum RuntimeAnnotation {
  /// Lower-case hex FNV-1a of the container's definition; a changed hash restarts the container.
  public static let containerHash = "io.kubernetes.container.hash"
  public static let restartCount = "io.kubernetes.container.restartCount"
  public static let terminationMessagePath = "io.kubernetes.container.terminationMessagePath"
  public static let terminationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy"
  public static let podDeletionGracePeriod = "io.kubernetes.pod.deletionGracePeriod"
  public static let podTerminationGracePeriod = "io.kubernetes.pod.terminationGracePeriod"
  /// JSON of a LifecycleHandler.
  public static let preStopHandler = "io.kubernetes.container.preStopHandler"
  /// JSON of the container's ports.
  public static let containerPorts = "io.kubernetes.container.ports"
}
