import Runtime

/// Chooses the containers and sandboxes that are removed; it looks at nothing but its arguments.
///
/// Only what carries Kubernetes' labels is considered: other things on the engine belong to somebody else.
struct GarbageSelection: Sendable {
  var policy: ContainerGarbageCollection.Policy
  /// Nanoseconds since the epoch.
  var now: Int64
  /// Uids of pods that exist or are being ended; nil while that isn't known, when every pod counts as existing.
  var knownPods: Set<String>?

  /// The containers of one name in one pod.
  private struct Unit: Hashable {
    var podUID: String
    var name: String
  }

  private func isKnown(_ podUID: String) -> Bool { knownPods?.contains(podUID) ?? true }

  /// The dead containers to remove, eldest first within each pod.
  func containers(_ all: [CRIContainer]) -> [CRIContainer] {
    var removals: [CRIContainer] = []
    var units: [Unit: [CRIContainer]] = [:]
    for (unit, dead) in Self.dead(all) {
      let old = dead.filter { now - $0.createdAt >= policy.minimumAge.wholeNanoseconds }
      if isKnown(unit.podUID) { units[unit] = old } else { removals += old }
    }
    if policy.containersPerName >= 0 { units = keep(policy.containersPerName, of: units, &removals) }
    if policy.containers >= 0 {
      var total = units.values.reduce(0) { $0 + $1.count }
      if total > policy.containers {
        units = keep(max(1, policy.containers / max(1, units.count)), of: units, &removals)
        total = units.values.reduce(0) { $0 + $1.count }
      }
      if total > policy.containers {
        removals += units.values.flatMap { $0 }.sorted { Self.isNewer($0, $1) }.dropFirst(policy.containers)
      }
    }
    return removals.sorted { Self.isNewer($1, $0) }
  }

  /// The sandboxes to remove: those that aren't ready and have no containers, but not a living pod's newest.
  func sandboxes(_ all: [CRIPodSandbox], containers: [CRIContainer]) -> [CRIPodSandbox] {
    let occupied = Set(containers.map(\.podSandboxID))
    let ours = all.filter { $0.labels[RuntimeLabel.podUID]?.isEmpty == false }
    return Dictionary(grouping: ours) { $0.labels[RuntimeLabel.podUID] ?? "" }.flatMap { podUID, sandboxes in
      sandboxes.sorted { ($0.createdAt, $0.id) > ($1.createdAt, $1.id) }.dropFirst(isKnown(podUID) ? 1 : 0)
        .filter { $0.state != .sandboxReady && !occupied.contains($0.id) }
    }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  private func keep(_ count: Int, of units: [Unit: [CRIContainer]], _ removals: inout [CRIContainer]) -> [Unit: [CRIContainer]] {
    for dead in units.values { removals += dead.dropFirst(count) }
    return units.mapValues { Array($0.prefix(count)) }
  }

  /// Containers that don't run, newest first. One that was created and not started yet is dead only if a newer one took its place.
  private static func dead(_ all: [CRIContainer]) -> [Unit: [CRIContainer]] {
    var units: [Unit: [CRIContainer]] = [:]
    for container in all {
      guard let podUID = container.labels[RuntimeLabel.podUID], !podUID.isEmpty,
        let name = container.labels[RuntimeLabel.containerName], !name.isEmpty
      else { continue }
      units[Unit(podUID: podUID, name: name), default: []].append(container)
    }
    return units.compactMapValues { containers in
      let sorted = containers.sorted(by: isNewer)
      let dead = sorted.enumerated().filter { index, container in
        container.state != .containerRunning && (container.state != .containerCreated || index > 0)
      }
      return dead.isEmpty ? nil : dead.map(\.element)
    }
  }

  private static func isNewer(_ a: CRIContainer, _ b: CRIContainer) -> Bool { (a.createdAt, a.id) > (b.createdAt, b.id) }
}
