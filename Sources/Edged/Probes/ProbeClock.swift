import KubernetesAPI

/// The time that probers go by; tests put their own in its place.
struct ProbeClock: Sendable {
  /// Time since some fixed moment; it never jumps.
  var now: @Sendable () -> Duration
  /// The wall clock, to which the start times of containers belong.
  var wall: @Sendable () -> Timestamp
  /// Returns at `deadline` or up to `tolerance` later; throws when the task is cancelled.
  var sleep: @Sendable (_ deadline: Duration, _ tolerance: Duration) async throws -> Void

  static var system: ProbeClock {
    let origin = ContinuousClock.now
    return ProbeClock(
      now: { origin.duration(to: .now) },
      wall: { Timestamp.now },
      sleep: { deadline, tolerance in
        try await Task.sleep(until: origin + deadline, tolerance: tolerance, clock: .continuous)
      })
  }
}
