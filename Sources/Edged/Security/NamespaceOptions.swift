import KubernetesAPI
import Runtime

/// Which of the host's, the pod's or another container's namespaces are used.
enum NamespaceOptions {
  /// - Parameter targetID: The container whose processes an ephemeral container sees.
  static func of(_ pod: Pod, targetID: String? = nil) -> CRINamespaceOption {
    var options = CRINamespaceOption()
    options.network = pod.spec.hostNetwork == true ? .node : .pod
    options.ipc = pod.spec.hostIPC == true ? .node : .pod
    options.pid = pod.spec.hostPID == true ? .node : pod.spec.shareProcessNamespace == true ? .pod : .container
    if let targetID, options.pid == .container {
      options.pid = .target
      options.targetID = targetID
    }
    return options
  }
}
