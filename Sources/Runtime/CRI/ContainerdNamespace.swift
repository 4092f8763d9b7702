import Curl

/// containerd keeps the containers of each of its clients apart by a namespace; CRI's are in `k8s.io`.
enum ContainerdNamespace {
  static let kubernetes = "k8s.io"
  /// What containerd's own services, unlike CRI, want in the head of a call.
  static let header = HTTPField("containerd-namespace", kubernetes)
}
