/// What a control group may use. What is nil stays as it is.
public struct CgroupLimits: Sendable, Hashable {
  /// Relative weight, 2…262144; 1024 is one core.
  public var cpuShares: Int64?
  /// Microseconds of CPU time in each period; -1 is no limit.
  public var cpuQuota: Int64?
  /// Microseconds.
  public var cpuPeriod: Int64?
  /// Bytes; -1 is no limit.
  public var memory: Int64?
  /// Processes and threads; -1 is no limit.
  public var pids: Int64?
  /// Bytes by page size as the kernel names it: `2MB`, `1GB`. Sizes that the kernel doesn't offer are left out.
  public var hugepages: [String: Int64]

  public init(
    cpuShares: Int64? = nil, cpuQuota: Int64? = nil, cpuPeriod: Int64? = nil, memory: Int64? = nil, pids: Int64? = nil,
    hugepages: [String: Int64] = [:]
  ) {
    self.cpuShares = cpuShares
    self.cpuQuota = cpuQuota
    self.cpuPeriod = cpuPeriod
    self.memory = memory
    self.pids = pids
    self.hugepages = hugepages
  }
}

/// What a control group and those in it use.
public struct CgroupUsage: Sendable, Hashable {
  /// CPU time since the group was made, in nanoseconds.
  public var cpuNanoseconds: UInt64
  /// Bytes, with the page cache.
  public var memoryBytes: UInt64
  /// Bytes that can't be given back easily: memory less the file pages that weren't used lately.
  public var workingSetBytes: UInt64
  /// Anonymous memory in bytes.
  public var rssBytes: UInt64
  /// Processes and threads.
  public var pids: UInt64

  public init(cpuNanoseconds: UInt64, memoryBytes: UInt64, workingSetBytes: UInt64, rssBytes: UInt64, pids: UInt64) {
    self.cpuNanoseconds = cpuNanoseconds
    self.memoryBytes = memoryBytes
    self.workingSetBytes = workingSetBytes
    self.rssBytes = rssBytes
    self.pids = pids
  }
}
