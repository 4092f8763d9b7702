import KubernetesAPI

/// What a probe decides.
public enum ProbeKind: String, Sendable, Hashable, CaseIterable {
  /// Whether the container has started; until then the other two don't run.
  case startup = "Startup"
  /// Whether the container must be restarted.
  case liveness = "Liveness"
  /// Whether the container takes traffic.
  case readiness = "Readiness"

  func probe(of container: Container) -> Probe? {
    switch self {
    case .startup: container.startupProbe
    case .liveness: container.livenessProbe
    case .readiness: container.readinessProbe
    }
  }
}
