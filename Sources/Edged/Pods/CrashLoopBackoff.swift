import KubernetesAPI

/// How long a container that keeps ending waits before it starts again: not at all the first time, then 10 s, doubling to a cap.
///
/// The wait is counted from the container's last end, and forgotten after twice the cap without a restart. A changed
/// definition starts over.
struct CrashLoopBackoff: Sendable, Hashable {
  static let initialDelay: Duration = .seconds(10)

  /// 300 s unless configured lower (`crashLoopBackOff.maxContainerRestartPeriod`).
  var cap: Duration = .seconds(300)
  private var entries: [Key: Entry] = [:]

  private struct Key: Sendable, Hashable {
    var container: String
    var hash: String
  }

  private struct Entry: Sendable, Hashable {
    var delay: Duration
    var updated: Timestamp
  }

  init(cap: Duration = .seconds(300)) { self.cap = cap }

  /// Until when a container that ended at `lastFinished` waits; nil if it may start now.
  func wait(for container: Container, lastFinished: Timestamp, now: Timestamp) -> (until: Timestamp, delay: Duration)? {
    guard let entry = entries[key(container)], !isForgotten(entry, at: lastFinished) else { return nil }
    let until = lastFinished + entry.delay
    return now < until ? (until, entry.delay) : nil
  }

  /// Notes that a container which ended at `lastFinished` starts again now.
  mutating func noteRestart(of container: Container, lastFinished: Timestamp, now: Timestamp) {
    let key = key(container)
    if let entry = entries[key], !isForgotten(entry, at: lastFinished) {
      entries[key] = Entry(delay: min(entry.delay * 2, cap), updated: now)
    } else {
      entries = entries.filter { $0.key.container != container.name }
      entries[key] = Entry(delay: min(Self.initialDelay, cap), updated: now)
    }
  }

  private func isForgotten(_ entry: Entry, at time: Timestamp) -> Bool { time - entry.updated > cap * 2 }

  private func key(_ container: Container) -> Key { Key(container: container.name, hash: ContainerHash.hash(of: container)) }

  /// `back-off 40s restarting failed container=web pod=shop_default(<uid>)`
  static func message(delay: Duration, container: String, pod: Pod) -> String {
    "back-off \(GoDuration.text(delay)) restarting failed container=\(container) pod=\(pod.name)_\(pod.namespace)(\(pod.uid))"
  }
}

/// Durations in Go's notation, as Kubernetes prints them.
enum GoDuration {
  /// Whole seconds: `40s`, `2m40s`, `5m0s`, `1h0m0s`.
  static func text(_ duration: Duration) -> String {
    let seconds = duration.components.seconds
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    if hours > 0 { return "\(hours)h\(minutes)m\(rest)s" }
    return minutes > 0 ? "\(minutes)m\(rest)s" : "\(rest)s"
  }
}
