import KubernetesAPI
import Runtime

/// What the node, its pods and their containers used up to one time.
struct StatsSample: Sendable {
  struct Container: Sendable {
    var name: String
    var id: String
    var image: String
    var startedAt: Timestamp
    var usage: CgroupUsage
    /// Billionths of a core, since the sample before.
    var nanoCores: UInt64?
  }

  struct PodUse: Sendable {
    var name: String
    var namespace: String
    var uid: String
    var startTime: Timestamp?
    /// Of the pod's group, the sandbox included.
    var usage: CgroupUsage
    var nanoCores: UInt64?
    /// nil in the host's network.
    var network: NetworkUsage?
    /// Those that run.
    var containers: [Container]
  }

  var time: Timestamp
  var node: NodeUsage
  var nodeNanoCores: UInt64?
  /// The agent itself.
  var agent: ProcessUsage
  var agentNanoCores: UInt64?
  /// All pods together.
  var allPods: CgroupUsage?
  var allPodsNanoCores: UInt64?
  var network: NetworkUsage?
  var pods: [PodUse]
}

/// What a process used.
struct ProcessUsage: Sendable, Hashable {
  var cpuNanoseconds: UInt64 = 0
  var residentBytes: UInt64 = 0
  var anonymousBytes: UInt64 = 0
  var startedAt: Timestamp?
}

/// Counters of CPU time as they were, so that a rate can be told.
struct CPURates: Sendable {
  private var last: [String: (time: Timestamp, nanoseconds: UInt64, rate: UInt64?)] = [:]
  private var seen: Set<String> = []

  /// Billionths of a core since the call before; nil the first time. Calls within a second of each other get the same answer.
  mutating func rate(of key: String, _ nanoseconds: UInt64, at time: Timestamp) -> UInt64? {
    seen.insert(key)
    guard let before = last[key], nanoseconds >= before.nanoseconds else {
      last[key] = (time, nanoseconds, nil)
      return nil
    }
    let elapsed = time.nanoseconds - before.time.nanoseconds
    guard elapsed >= 1_000_000_000 else {
      // The clock was set back.
      if elapsed < 0 { last[key] = (time, nanoseconds, before.rate) }
      return before.rate
    }
    let rate = UInt64(Double(nanoseconds - before.nanoseconds) / Double(elapsed) * 1e9)
    last[key] = (time, nanoseconds, rate)
    return rate
  }

  /// Forgets what wasn't asked about since the last call.
  mutating func forgetOthers() {
    last = last.filter { seen.contains($0.key) }
    seen = []
  }
}
