/// A volume of a pod that is ready to be mounted into containers.
public struct PreparedVolume: Sendable, Hashable {
  public enum Kind: String, Sendable, Hashable {
    case emptyDir, hostPath, configMap, secret, downwardAPI, projected
  }

  public var name: String
  public var kind: Kind
  /// The volume's root on the node.
  public var hostPath: String

  /// Volumes that the agent writes are read-only to containers whatever these ask for.
  public var isReadOnly: Bool {
    switch kind {
    case .emptyDir, .hostPath: false
    case .configMap, .secret, .downwardAPI, .projected: true
    }
  }
}
