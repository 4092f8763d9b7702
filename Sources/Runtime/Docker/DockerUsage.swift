/// A container's use of memory and processor, in CRI's words.
enum DockerUsage {
  /// nil when the container doesn't run: the engine's numbers are all zero then.
  static func stats(_ stats: DockerStats) -> (cpu: CRICpuUsage, memory: CRIMemoryUsage)? {
    let timestamp = DockerTimestamp.nanoseconds(stats.read)
    guard timestamp != 0, let usage = stats.memory?.usage else { return nil }
    let details = stats.memory?.details ?? [:]
    let inactive = details["total_inactive_file"] ?? details["inactive_file"] ?? 0
    let cpu = CRICpuUsage.with {
      $0.timestamp = timestamp
      $0.usageCoreNanoSeconds = value(stats.cpu?.usage?.total ?? 0)
    }
    let memory = CRIMemoryUsage.with {
      $0.timestamp = timestamp
      $0.usageBytes = value(usage)
      $0.workingSetBytes = value(usage > inactive ? usage - inactive : 0)
      $0.rssBytes = value(details["total_rss"] ?? details["rss"] ?? details["anon"] ?? 0)
      $0.pageFaults = value(details["total_pgfault"] ?? details["pgfault"] ?? 0)
      $0.majorPageFaults = value(details["total_pgmajfault"] ?? details["pgmajfault"] ?? 0)
    }
    return (cpu, memory)
  }

  private static func value(_ number: UInt64) -> CRIUInt64Value { .with { $0.value = number } }
}
