import Glibc

/// What everything on the node uses together, as the kernel tells it below `/proc`.
struct NodeUsage: Sendable, Hashable {
  /// CPU time since boot, in nanoseconds.
  var cpuNanoseconds: UInt64 = 0
  /// Bytes of memory in use, with the page cache.
  var memoryBytes: UInt64 = 0
  var workingSetBytes: UInt64 = 0
  var rssBytes: UInt64 = 0
  var memoryTotal: UInt64 = 0
  var pageFaults: UInt64 = 0
  var majorPageFaults: UInt64 = 0
  var swapTotal: UInt64 = 0
  var swapFree: UInt64 = 0
  /// When the node was started: seconds since 1970.
  var bootTime: Int64 = 0
  /// Processes and threads, and how many there may be.
  var processes: Int64 = 0
  var processLimit: Int64 = 0

  /// Bytes that could still be used.
  var availableBytes: UInt64 { memoryTotal > workingSetBytes ? memoryTotal - workingSetBytes : 0 }

  init() {}

  /// - Throws: `NodeMachine.Failure`.
  static func read(proc: String = "/proc") throws -> NodeUsage {
    NodeUsage(
      stat: try NodeMachine.read(proc + "/stat"), meminfo: try NodeMachine.read(proc + "/meminfo"),
      vmstat: try NodeMachine.read(proc + "/vmstat"), loadavg: try NodeMachine.read(proc + "/loadavg"),
      pidMax: try NodeMachine.read(proc + "/sys/kernel/pid_max"), ticksPerSecond: UInt64(max(1, sysconf(Int32(_SC_CLK_TCK)))))
  }

  init(stat: String, meminfo: String, vmstat: String, loadavg: String, pidMax: String, ticksPerSecond: UInt64) {
    for line in stat.split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.first == "cpu" {
        // user, nice, system, idle, iowait, irq, softirq, steal: all but those in which nothing ran.
        let ticks = words.dropFirst().prefix(8).map { UInt64($0) ?? 0 }
        let busy = ticks.enumerated().reduce(UInt64(0)) { $0 + ($1.offset == 3 || $1.offset == 4 ? 0 : $1.element) }
        cpuNanoseconds = busy &* (1_000_000_000 / ticksPerSecond)
      } else if words.first == "btime", words.count > 1 {
        bootTime = Int64(words[1]) ?? 0
      }
    }
    var kilobytes: [Substring: UInt64] = [:]
    for line in meminfo.split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == " " || $0 == ":" })
      if words.count > 1 { kilobytes[words[0]] = UInt64(words[1]) }
    }
    func bytes(_ key: Substring) -> UInt64 { (kilobytes[key] ?? 0) << 10 }
    memoryTotal = bytes("MemTotal")
    memoryBytes = memoryTotal - min(memoryTotal, bytes("MemFree"))
    workingSetBytes = memoryBytes - min(memoryBytes, bytes("Inactive(file)"))
    rssBytes = bytes("AnonPages")
    swapTotal = bytes("SwapTotal")
    swapFree = bytes("SwapFree")
    for line in vmstat.split(separator: "\n") {
      if line.hasPrefix("pgfault ") { pageFaults = UInt64(line.dropFirst(8)) ?? 0 }
      if line.hasPrefix("pgmajfault ") { majorPageFaults = UInt64(line.dropFirst(11)) ?? 0 }
    }
    // "0.00 0.01 0.05 1/123 4567": running and all.
    let tasks = loadavg.split(separator: " ").dropFirst(3).first?.split(separator: "/").last
    processes = tasks.flatMap { Int64($0) } ?? 0
    processLimit = Int64(pidMax.prefix { $0.isNumber }) ?? 0
  }
}
