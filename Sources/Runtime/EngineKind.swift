/// Which language an engine's socket speaks.
public enum EngineKind: String, Sendable, Hashable {
  /// CRI v1 over gRPC: containerd.
  case cri
  case docker
}
