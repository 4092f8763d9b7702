/// What the attempts of a probe add up to.
public enum ProbeResult: Sendable, Hashable {
  case success
  case failure
  /// Not decided yet. Of a startup probe: the container is still starting. Of a readiness probe: the agent is younger than the
  /// container, and what was reported before still stands.
  case unknown
}

/// The present results of one container's probes; nil where the container has no such probe.
public struct ContainerProbeResults: Sendable, Hashable {
  public var readiness: ProbeResult?
  public var liveness: ProbeResult?
  public var startup: ProbeResult?

  public init(readiness: ProbeResult? = nil, liveness: ProbeResult? = nil, startup: ProbeResult? = nil) {
    self.readiness = readiness
    self.liveness = liveness
    self.startup = startup
  }

  public subscript(kind: ProbeKind) -> ProbeResult? {
    get {
      switch kind {
      case .readiness: readiness
      case .liveness: liveness
      case .startup: startup
      }
    }
    set {
      switch kind {
      case .readiness: readiness = newValue
      case .liveness: liveness = newValue
      case .startup: startup = newValue
      }
    }
  }
}

/// A probe's result that changed.
public struct ProbeChange: Sendable, Hashable {
  public var podUID: String
  public var container: String
  /// The engine's id.
  public var containerID: String
  public var kind: ProbeKind
  public var result: ProbeResult
  /// What the last attempt answered.
  public var message: String
}
