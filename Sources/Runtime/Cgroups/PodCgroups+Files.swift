extension PodCgroups {
  /// Makes a group and those it is in, in every hierarchy.
  /// - Returns: Whether it is new in one of them.
  @discardableResult
  func make(_ name: CgroupName) throws(CgroupError) -> Bool {
    var isNew = false
    for mount in hierarchy.roots {
      var parent = CgroupDirectory(path: mount)
      for component in name.components {
        let group = parent.appending(component)
        if hierarchy.version == .v2 { try enableControllers(in: parent) }
        if try group.make() { isNew = true }
        if mount == hierarchy.mounts["cpuset"] { try inheritCPUSet(group, from: parent) }
        parent = group
      }
    }
    return isNew
  }

  /// A v1 cpuset starts empty, and takes no process until it has CPUs and memory nodes.
  private func inheritCPUSet(_ group: CgroupDirectory, from parent: CgroupDirectory) throws(CgroupError) {
    for file in ["cpuset.cpus", "cpuset.mems"] where try group.read(file).allSatisfy(\.isWhitespace) {
      try group.write(String(try parent.read(file).prefix { !$0.isWhitespace }), to: file)
    }
  }

  /// Lets the children of a v2 group have every controller that the group has itself.
  private func enableControllers(in group: CgroupDirectory) throws(CgroupError) {
    let available = try group.read("cgroup.controllers").split(whereSeparator: \.isWhitespace)
    let enabled = try group.read("cgroup.subtree_control").split(whereSeparator: \.isWhitespace)
    for controller in available where !enabled.contains(controller) {
      do {
        try group.write("+\(controller)", to: "cgroup.subtree_control")
      } catch {
        // Others may be refused, like cpu while there are real-time processes, and pods can do without.
        if CgroupHierarchy.required.contains(String(controller)) { throw error }
      }
    }
  }

  func apply(_ limits: CgroupLimits, to name: CgroupName) throws(CgroupError) {
    if hierarchy.version == .v2 { try applyUnified(limits, to: name) } else { try applyLegacy(limits, to: name) }
  }

  private func applyLegacy(_ limits: CgroupLimits, to name: CgroupName) throws(CgroupError) {
    if limits.cpuShares != nil || limits.cpuQuota != nil || limits.cpuPeriod != nil {
      let cpu = try controller("cpu", name)
      if let shares = limits.cpuShares { try cpu.write(String(shares), to: "cpu.shares") }
      try applyQuota(limits, to: cpu)
    }
    if let memory = limits.memory { try controller("memory", name).write(String(memory < 0 ? -1 : memory), to: "memory.limit_in_bytes") }
    if let pids = limits.pids { try controller("pids", name).write(pids < 0 ? "max" : String(pids), to: "pids.max") }
    guard !limits.hugepages.isEmpty, let mount = hierarchy.mounts["hugetlb"] else { return }
    let hugetlb = directory(name, in: mount)
    for (size, bytes) in limits.hugepages where hugetlb.has("hugetlb.\(size).limit_in_bytes") {
      try hugetlb.write(String(bytes), to: "hugetlb.\(size).limit_in_bytes")
    }
  }

  /// The kernel refuses any step on the way whose ratio of quota to period is out of bounds, so the quota is lifted first.
  private func applyQuota(_ limits: CgroupLimits, to cpu: CgroupDirectory) throws(CgroupError) {
    guard limits.cpuQuota != nil || limits.cpuPeriod != nil else { return }
    let wishedQuota = limits.cpuQuota.map { String($0 <= 0 ? -1 : $0) }
    let quota = trimmed(try cpu.read("cpu.cfs_quota_us"))
    if let period = limits.cpuPeriod, trimmed(try cpu.read("cpu.cfs_period_us")) != String(period) {
      if quota != "-1" { try cpu.write("-1", to: "cpu.cfs_quota_us") }
      try cpu.write(String(period), to: "cpu.cfs_period_us")
      try cpu.write(wishedQuota ?? quota, to: "cpu.cfs_quota_us")
    } else if let wishedQuota, wishedQuota != quota {
      try cpu.write(wishedQuota, to: "cpu.cfs_quota_us")
    }
  }

  private func trimmed(_ text: String) -> String { String(text.prefix { !$0.isWhitespace }) }

  private func applyUnified(_ limits: CgroupLimits, to name: CgroupName) throws(CgroupError) {
    let group = directory(name, in: hierarchy.unified ?? "")
    if let shares = limits.cpuShares { try group.write(String(weight.weight(shares: shares)), to: "cpu.weight") }
    if let quota = limits.cpuQuota {
      let period = limits.cpuPeriod ?? CPUShares.defaultPeriod
      try group.write(quota <= 0 ? "max \(period)" : "\(quota) \(period)", to: "cpu.max")
    }
    if let memory = limits.memory { try group.write(memory < 0 ? "max" : String(memory), to: "memory.max") }
    if let pids = limits.pids { try group.write(pids < 0 ? "max" : String(pids), to: "pids.max") }
    for (size, bytes) in limits.hugepages where group.has("hugetlb.\(size).max") {
      try group.write(String(bytes), to: "hugetlb.\(size).max")
    }
  }

  private func controller(_ controller: String, _ name: CgroupName) throws(CgroupError) -> CgroupDirectory {
    guard let mount = hierarchy.mounts[controller] else {
      throw CgroupError.missingControllers([controller], available: try hierarchy.controllers())
    }
    return directory(name, in: mount)
  }
}
