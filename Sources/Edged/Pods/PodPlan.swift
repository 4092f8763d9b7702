import KubernetesAPI

/// What a pod needs next: the outcome of `PodPlanner`, in the order in which it is carried out.
struct PodPlan: Sendable, Hashable {
  struct Kill: Sendable, Hashable {
    enum Cause: Sendable, Hashable {
      case definitionChanged, livenessProbe, startupProbe, unknownState
    }
    var containerID: String
    var name: String
    var cause: Cause
    /// For the event: `Container web failed liveness probe, will be restarted`.
    var message: String
  }

  /// All containers and sandboxes are stopped first.
  var stopsPod = false
  /// A sandbox is created, with this attempt number.
  var newSandboxAttempt: UInt32?
  /// Containers that are stopped, each on its own.
  var kills: [Kill] = []
  /// Containers that are there and have not been started, by name: each is started as it is instead of made, or removed first if it
  /// can't be. Only the engine knows whether a start that was asked for before still goes on.
  var created: [String: String] = [:]
  /// Indices into `spec.ephemeralContainers`, `spec.initContainers` and `spec.containers`.
  var startEphemeral: [Int] = []
  var startInit: [Int] = []
  var start: [Int] = []
  /// Containers held back by crash-loop back-off and what their status says meanwhile.
  var heldBack: [String: ContainerStateWaiting] = [:]
  /// When to look again although nothing happened: the earliest end of a back-off.
  var wakeAt: ContinuousClock.Instant?

  /// True if nothing is to be done now.
  var isEmpty: Bool {
    !stopsPod && newSandboxAttempt == nil && kills.isEmpty && startEphemeral.isEmpty && startInit.isEmpty
      && start.isEmpty
  }

  var startsContainers: Bool { !(startEphemeral.isEmpty && startInit.isEmpty && start.isEmpty) }
}

/// Everything a plan depends on.
struct PodFacts: Sendable {
  var pod: Pod
  var record: PodRecord
  /// By container name, of the container's newest instance.
  var probes: [String: ProbeVerdict] = [:]
  var backoff = CrashLoopBackoff()
  var now: ContinuousClock.Instant
}

/// What probes say of a running container, as far as it decides over its life.
struct ProbeVerdict: Sendable, Hashable {
  var livenessFailed = false
  var startup: Startup = .passed

  enum Startup: Sendable, Hashable {
    case pending, passed, failed
  }
}
