import KubernetesAPI

/// The wall clock, which anybody may set at any time, and the clock that only goes on, read together.
///
/// Ends of containers and deadlines of objects are known by the wall clock; how long something waits must not depend on it.
struct Moment: Sendable, Hashable {
  var wall: Timestamp
  var instant: ContinuousClock.Instant

  static var now: Moment { Moment(wall: .now, instant: .now) }

  /// When the wall clock shows `time`, unless it is set meanwhile.
  func instant(of time: Timestamp) -> ContinuousClock.Instant { instant + (time - wall) }
}
