import KubernetesAPI

/// When the containers of one pod that ended may start again: 10 s after their end, then 20, 40, 80, 160 and at most 300 s.
///
/// The first restart is free. A container that ran for twice the maximum starts over, and so does one whose definition changed,
/// since that makes another key.
public struct CrashLoopBackoff: Sendable {
  /// Reason of the Waiting state.
  public static let waitingReason = "CrashLoopBackOff"
  /// Reason of the Warning event.
  public static let eventReason = "BackOff"

  public struct Key: Sendable, Hashable {
    public var container: String
    /// The hash of the container's definition.
    public var hash: String

    public init(container: String, hash: String) {
      self.container = container
      self.hash = hash
    }
  }

  /// A wait that isn't over yet.
  public struct Wait: Sendable, Hashable {
    public var until: Timestamp
    /// The whole wait, not what remains of it.
    public var delay: Duration
  }

  private struct Entry {
    var hash: String
    var delay: Duration
    var restarted: Timestamp
  }

  public let initial: Duration
  public let maximum: Duration
  /// By container: what an older definition has waited counts no more.
  private var entries: [String: Entry] = [:]

  /// - Parameter maximum: the longest delay, 1 to 300 s; what is beyond is brought within.
  public init(maximum: Duration = .seconds(300)) {
    self.maximum = min(max(maximum, .seconds(1)), .seconds(300))
    self.initial = min(.seconds(10), self.maximum)
  }

  /// How long a container that ended at `lastFinished` has to wait; nil if it may start now. `restarted` is to be told of the start.
  public func delay(for key: Key, lastFinished: Timestamp, now: Timestamp) -> Wait? {
    guard let entry = entry(key, at: lastFinished) else { return nil }
    let until = lastFinished + entry.delay
    // An end in the future means that the clock was set back; nobody can tell how long the wait would be.
    guard lastFinished <= now, now < until else { return nil }
    return Wait(until: until, delay: entry.delay)
  }

  /// Notes that the container starts again after its end at `lastFinished`.
  public mutating func restarted(_ key: Key, lastFinished: Timestamp, now: Timestamp) {
    let delay = entry(key, at: lastFinished).map { min($0.delay * 2, maximum) } ?? initial
    entries[key.container] = Entry(hash: key.hash, delay: delay, restarted: now)
  }

  /// The message of the container's Waiting state.
  public static func waitingMessage(_ delay: Duration, container: String, of pod: Pod) -> String {
    "back-off \(goText(delay)) restarting failed container=\(container) pod=\(longName(pod))"
  }

  /// The message of the event.
  public static func eventMessage(container: String, of pod: Pod) -> String {
    "Back-off restarting failed container \(container) in pod \(longName(pod))"
  }

  private func entry(_ key: Key, at lastFinished: Timestamp) -> Entry? {
    guard let entry = entries[key.container], entry.hash == key.hash, lastFinished - entry.restarted <= maximum * 2 else { return nil }
    return entry
  }

  private static func longName(_ pod: Pod) -> String { "\(pod.name)_\(pod.namespace)(\(pod.uid))" }

  /// As Go prints durations, in whole seconds: `40s`, `1m20s`, `5m0s`.
  private static func goText(_ delay: Duration) -> String {
    let seconds = delay.components.seconds
    return seconds < 60 ? "\(seconds)s" : "\(seconds / 60)m\(seconds % 60)s"
  }
}
