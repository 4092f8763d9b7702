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
  /// By container name.
  private var ends: [String: End] = [:]

  private struct Key: Sendable, Hashable {
    var container: String
    var hash: String
  }

  private struct Entry: Sendable, Hashable {
    var delay: Duration
    var updated: ContinuousClock.Instant
  }

  private struct End: Sendable, Hashable {
    var containerID: String
    var at: ContinuousClock.Instant
  }

  init(cap: Duration = .seconds(300)) { self.cap = cap }

  /// Notes the last ends that the engine tells. It tells them by the wall clock: what was set since they were first seen doesn't count.
  mutating func noteEnds(in record: PodRecord, now: Moment) {
    for name in Set(record.containers.map(\.name)) {
      guard let ended = record.newestEnded(name), ends[name]?.containerID != ended.id else { continue }
      ends[name] = End(containerID: ended.id, at: min(now.instant, now.instant(of: ended.finishedAt)))
    }
  }

  /// Until when a container waits; nil if it may start now.
  func wait(for container: Container, now: ContinuousClock.Instant) -> (until: ContinuousClock.Instant, delay: Duration)? {
    guard let end = ends[container.name]?.at, let entry = entries[key(container)], !isForgotten(entry, at: end) else { return nil }
    let until = end + entry.delay
    return now < until ? (until, entry.delay) : nil
  }

  /// Notes that a container starts again now.
  mutating func noteRestart(of container: Container, now: ContinuousClock.Instant) {
    let key = key(container)
    if let entry = entries[key], !isForgotten(entry, at: ends[container.name]?.at ?? now) {
      entries[key] = Entry(delay: min(entry.delay * 2, cap), updated: now)
    } else {
      entries = entries.filter { $0.key.container != container.name }
      entries[key] = Entry(delay: min(Self.initialDelay, cap), updated: now)
    }
  }

  private func isForgotten(_ entry: Entry, at time: ContinuousClock.Instant) -> Bool { time - entry.updated > cap * 2 }

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
