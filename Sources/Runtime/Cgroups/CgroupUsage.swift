import Glibc

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
  /// Bytes of the page cache.
  public var cacheBytes: UInt64 = 0
  /// Bytes in swap space; nil where the kernel doesn't count them.
  public var swapBytes: UInt64?
  /// Since the group was made, those that had to be read among them.
  public var pageFaults: UInt64 = 0
  public var majorPageFaults: UInt64 = 0
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

extension PodCgroups {
  /// What the pod uses; nil if its group isn't there.
  public func usage(podUID: String, qos: CgroupQOS) throws(CgroupError) -> CgroupUsage? {
    try usage(ofPath: path(podUID, qos))
  }

  /// What all pods together use; nil if there is no group for them.
  public func usage() throws(CgroupError) -> CgroupUsage? { try usage(ofPath: CgroupName.kubepods(root: root).path(driver)) }

  /// The groups of the pod's containers and of its sandbox, by the engine's names for them: a container's holds its ID.
  public func containerGroups(podUID: String, qos: CgroupQOS) -> [String] {
    guard let mount = hierarchy.mounts["memory"] ?? hierarchy.unified else { return [] }
    return CgroupDirectory(path: mount + path(podUID, qos)).children().map(\.name)
  }

  /// What a container's group uses; nil if it isn't there.
  /// - Parameter group: one of `containerGroups`.
  public func usage(podUID: String, qos: CgroupQOS, group: String) throws(CgroupError) -> CgroupUsage? {
    try usage(ofPath: path(podUID, qos) + "/" + group)
  }

  /// The processes in a container's group.
  public func processes(podUID: String, qos: CgroupQOS, group: String) throws(CgroupError) -> [Int32] {
    guard let mount = hierarchy.mounts["pids"] ?? hierarchy.unified else { return [] }
    return try CgroupDirectory(path: mount + path(podUID, qos) + "/" + group).processes()
  }

  private func path(_ podUID: String, _ qos: CgroupQOS) -> String { CgroupName.pod(uid: podUID, qos: qos, root: root).path(driver) }

  private func usage(ofPath path: String) throws(CgroupError) -> CgroupUsage? {
    do {
      if hierarchy.version == .v2, let unified = hierarchy.unified {
        return try Self.unifiedUsage(CgroupDirectory(path: unified + path))
      }
      func group(_ controller: String) throws(CgroupError) -> CgroupDirectory {
        guard let mount = hierarchy.mounts[controller] else {
          throw CgroupError.missingControllers([controller], available: try hierarchy.controllers())
        }
        return CgroupDirectory(path: mount + path)
      }
      return try Self.legacyUsage(memory: try group("memory"), cpu: try group("cpuacct"), pids: try group("pids"))
    } catch .system(_, _, let code) where code == ENOENT || code == ENODEV {
      return nil
    }
  }

  private static func unifiedUsage(_ group: CgroupDirectory) throws(CgroupError) -> CgroupUsage {
    let memory = try group.number("memory.current") ?? 0
    let statistics = FlatKeys(try group.read("memory.stat"))
    var usage = CgroupUsage(
      cpuNanoseconds: try group.number("usage_usec", in: "cpu.stat") &* 1000, memoryBytes: memory,
      workingSetBytes: workingSet(memory, inactive: statistics["inactive_file"]), rssBytes: statistics["anon"],
      pids: try group.number("pids.current") ?? 0)
    usage.cacheBytes = statistics["file"]
    usage.pageFaults = statistics["pgfault"]
    usage.majorPageFaults = statistics["pgmajfault"]
    usage.swapBytes = group.has("memory.swap.current") ? try group.number("memory.swap.current") : nil
    return usage
  }

  private static func legacyUsage(
    memory: CgroupDirectory, cpu: CgroupDirectory, pids: CgroupDirectory
  ) throws(CgroupError) -> CgroupUsage {
    let bytes = try memory.number("memory.usage_in_bytes") ?? 0
    let statistics = FlatKeys(try memory.read("memory.stat"))
    var usage = CgroupUsage(
      cpuNanoseconds: try cpu.number("cpuacct.usage") ?? 0, memoryBytes: bytes,
      workingSetBytes: workingSet(bytes, inactive: statistics["total_inactive_file"]), rssBytes: statistics["total_rss"],
      pids: try pids.number("pids.current") ?? 0)
    usage.cacheBytes = statistics["total_cache"]
    usage.pageFaults = statistics["total_pgfault"]
    usage.majorPageFaults = statistics["total_pgmajfault"]
    usage.swapBytes = statistics.has("total_swap") ? statistics["total_swap"] : nil
    return usage
  }

  private static func workingSet(_ memory: UInt64, inactive: UInt64) -> UInt64 { memory > inactive ? memory - inactive : 0 }
}

/// The kernel's files of lines `key value`.
struct FlatKeys {
  private let values: [Substring: UInt64]

  init(_ text: String) {
    var values: [Substring: UInt64] = [:]
    for line in text.split(separator: "\n") {
      guard let space = line.firstIndex(of: " ") else { continue }
      values[line[..<space]] = UInt64(line[line.index(after: space)...])
    }
    self.values = values
  }

  func has(_ key: Substring) -> Bool { values[key] != nil }

  /// 0 for a key that isn't there.
  subscript(key: Substring) -> UInt64 { values[key] ?? 0 }
}
