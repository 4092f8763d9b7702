import KubernetesAPI

/// What probes need to know of a container as it was last observed.
public struct ProbeTarget: Sendable, Hashable {
  /// The engine's id, without a scheme.
  public var containerID: String
  public var running: Bool
  public var startedAt: Timestamp
  /// Addresses of the pod, primary first; the host's for pods in the host's network.
  public var podIPs: [String]
  /// Whether a container that doesn't run will be started again.
  public var mayRestart: Bool
  /// The container ran before the agent started: its readiness is kept until a probe has decided anew.
  public var startedBeforeAgent: Bool
  /// The readiness last reported of this container, used when it started before the agent.
  public var recordedReady: Bool?
  /// The `started` last reported of this container, used when it started before the agent. True spares it the startup probe.
  public var recordedStarted: Bool?

  public init(
    containerID: String, running: Bool, startedAt: Timestamp, podIPs: [String], mayRestart: Bool, startedBeforeAgent: Bool = false,
    recordedReady: Bool? = nil, recordedStarted: Bool? = nil
  ) {
    self.containerID = containerID
    self.running = running
    self.startedAt = startedAt
    self.podIPs = podIPs
    self.mayRestart = mayRestart
    self.startedBeforeAgent = startedBeforeAgent
    self.recordedReady = recordedReady
    self.recordedStarted = recordedStarted
  }
}
