import KubernetesAPI

/// Why a container or a sandbox could not be started, and when to try again.
struct StartFailure: Sendable {
  var waiting: ContainerStateWaiting
  var retryAt: ContinuousClock.Instant
  /// How often it failed in a row.
  var count: Int

  init(_ error: any Error, previous: StartFailure?, now: ContinuousClock.Instant) {
    count = (previous?.count ?? 0) + 1
    // 1 s, 2 s, 4 s, then every 10 s: what is wrong is seldom cured by haste, but an engine that restarts is back soon.
    let delay = min(Duration.seconds(1 << min(count - 1, 4)), .seconds(10))
    let start = error as? ContainerStartError
    waiting = ContainerStateWaiting(reason: start?.reason ?? "CreateContainerError", message: start?.message ?? "\(error)")
    retryAt = start?.retryAt ?? now + delay
  }
}

/// A step of a container's start that failed, in the words of its status.
struct ContainerStartError: Error, Sendable, CustomStringConvertible {
  /// `ErrImagePull`, `CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`, `PostStartHookError`, …
  var reason: String
  var message: String
  /// nil: the general back-off decides.
  var retryAt: ContinuousClock.Instant?

  var description: String { "\(reason): \(message)" }
}

/// What a container is in its pod.
enum ContainerKind: Sendable, Hashable {
  case initial
  case regular
  /// Joins the PID namespace of the target, if there is one.
  case ephemeral(target: String?)
}
