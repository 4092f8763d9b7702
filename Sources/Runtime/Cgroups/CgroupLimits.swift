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
