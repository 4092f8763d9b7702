/// Why a volume can't be set up or mounted.
public struct VolumeError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// The volumes of a pod that couldn't be set up; the others are.
public struct VolumeSetUpError: Error, Sendable, CustomStringConvertible {
  public struct Failure: Sendable, Hashable, CustomStringConvertible {
    public var volume: String
    public var reason: String

    /// The text of the event `FailedMount`.
    public var description: String { "MountVolume.SetUp failed for volume \"\(volume)\" : \(reason)" }
  }

  public var failures: [Failure]
  /// Setting the pod up again before that time changes nothing: the volumes that failed wait.
  public var retryAt: ContinuousClock.Instant
  /// Whether something was tried and failed, rather than was still waiting after a failure told before.
  public var isNew: Bool

  public var description: String { failures.map(\.description).joined(separator: "; ") }
}
