import Glibc
import Testing

@testable import Runtime

/// On the real v1 hierarchies of this machine, below a group of each test's own.
@Suite(.enabled(if: CgroupSandbox.worksWithV1, CgroupSandbox.v1Comment), .serialized)
struct CgroupV1Tests {
  @Test func makesTheHierarchy() async throws {
    try await CgroupSandbox.with("hierarchy") { sandbox in
      let limits = CgroupLimits(cpuShares: 3072, memory: 512 << 20, pids: 1000)
      try sandbox.cgroups.ensureHierarchy(limits)
      #expect(try sandbox.file("cpu.shares", "kubepods", "cpu") == "3072")
      #expect(try sandbox.file("memory.limit_in_bytes", "kubepods", "memory") == String(512 << 20))
      #expect(try sandbox.file("pids.max", "kubepods", "pids") == "1000")
      for qos in ["burstable", "besteffort"] {
        #expect(try sandbox.file("cpu.shares", "kubepods/\(qos)", "cpu") == "2")
        #expect(try !sandbox.file("cpuset.cpus", "kubepods/\(qos)", "cpuset").isEmpty)
        #expect(try !sandbox.file("cpuset.mems", "kubepods/\(qos)", "cpuset").isEmpty)
      }
      try sandbox.cgroups.setShares(2048, of: .burstable)
      try sandbox.cgroups.ensureHierarchy(limits)
      #expect(try sandbox.file("cpu.shares", "kubepods/burstable", "cpu") == "2048")
      #expect(sandbox.cgroups.list().isEmpty)
    }
  }

  @Test func limitsPods() async throws {
    try await CgroupSandbox.with("limits") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      let group = "kubepods/burstable/pod1-2"
      try sandbox.cgroups.ensure(
        podUID: "1-2", qos: .burstable,
        limits: CgroupLimits(cpuShares: 512, cpuQuota: 50_000, cpuPeriod: 100_000, memory: 64 << 20, pids: 50, hugepages: ["2MB": 0]))
      #expect(try sandbox.file("cpu.shares", group, "cpu") == "512")
      #expect(try sandbox.file("cpu.cfs_quota_us", group, "cpu") == "50000")
      #expect(try sandbox.file("cpu.cfs_period_us", group, "cpu") == "100000")
      #expect(try sandbox.file("memory.limit_in_bytes", group, "memory") == String(64 << 20))
      #expect(try sandbox.file("pids.max", group, "pids") == "50")
      #expect(sandbox.cgroups.exists(podUID: "1-2", qos: .burstable))
      #expect(!sandbox.cgroups.exists(podUID: "1-2", qos: .guaranteed))

      // A quota that would be refused together with the old period.
      try sandbox.cgroups.ensure(
        podUID: "1-2", qos: .burstable,
        limits: CgroupLimits(cpuShares: 2, cpuQuota: 1000, cpuPeriod: 1000, memory: -1, pids: -1))
      #expect(try sandbox.file("cpu.cfs_quota_us", group, "cpu") == "1000")
      #expect(try sandbox.file("cpu.cfs_period_us", group, "cpu") == "1000")
      #expect(try sandbox.file("pids.max", group, "pids") == "max")
      #expect(try Int64(sandbox.file("memory.limit_in_bytes", group, "memory")) ?? 0 > 1 << 40)
      try sandbox.cgroups.ensure(podUID: "1-2", qos: .burstable, limits: CgroupLimits(cpuQuota: -1, cpuPeriod: 100_000))
      #expect(try sandbox.file("cpu.cfs_quota_us", group, "cpu") == "-1")
      #expect(try sandbox.file("cpu.shares", group, "cpu") == "2")
      #expect(sandbox.cgroups.cgroupParent(podUID: "1-2", qos: .burstable) == "\(sandbox.root)/\(group)")
    }
  }

  @Test func isInEveryHierarchy() async throws {
    try await CgroupSandbox.with("everywhere") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "a", qos: .guaranteed, limits: CgroupLimits(cpuShares: 2))
      let directories = sandbox.cgroups.directories(CgroupName.pod(uid: "a", qos: .guaranteed, root: sandbox.cgroups.root))
      #expect(directories.count >= 5)
      for directory in directories { #expect(directory.exists, "\(directory.path)") }
      try await sandbox.cgroups.remove(podUID: "a", qos: .guaranteed)
      for directory in directories { #expect(!directory.exists, "\(directory.path)") }
      try await sandbox.cgroups.remove(podUID: "a", qos: .guaranteed)
    }
  }

  @Test func listsWhatIsThere() async throws {
    try await CgroupSandbox.with("list") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "g", qos: .guaranteed, limits: CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "b", qos: .burstable, limits: CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "e", qos: .bestEffort, limits: CgroupLimits())
      // Left behind in one hierarchy alone.
      let freezer = try #require(sandbox.cgroups.hierarchy.mounts["pids"])
      try CgroupDirectory(path: "\(freezer)\(sandbox.root)/kubepods/besteffort/podorphan").make()
      #expect(
        sandbox.cgroups.list() == [
          PodCgroup(uid: "b", qos: .burstable), PodCgroup(uid: "e", qos: .bestEffort), PodCgroup(uid: "g", qos: .guaranteed),
          PodCgroup(uid: "orphan", qos: .bestEffort),
        ])
      #expect(!sandbox.cgroups.exists(podUID: "orphan", qos: .bestEffort))
      try await sandbox.cgroups.remove(podUID: "orphan", qos: .bestEffort)
      #expect(!sandbox.cgroups.list().contains { $0.uid == "orphan" })
    }
  }

  @Test func endsProcessesAndRemovesGroupsWithin() async throws {
    try await CgroupSandbox.with("kill") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "a", qos: .burstable, limits: CgroupLimits(memory: 64 << 20))
      let memory = try #require(sandbox.cgroups.hierarchy.mounts["memory"])
      let pids = try #require(sandbox.cgroups.hierarchy.mounts["pids"])
      let pod = "kubepods/burstable/poda"
      for mount in [memory, pids] { try CgroupDirectory(path: "\(mount)\(sandbox.root)/\(pod)/container").make() }
      let direct = try sandbox.startProcess(in: pod, mounts: [memory, pids])
      let inner = try sandbox.startProcess(in: pod + "/container", mounts: [memory])
      let other = try CgroupSandbox.sleeper()

      let usage = try #require(try sandbox.cgroups.usage(podUID: "a", qos: .burstable))
      #expect(usage.pids == 1)
      #expect(usage.memoryBytes >= usage.workingSetBytes)
      #expect(try sandbox.cgroups.usage(podUID: "nobody", qos: .burstable) == nil)
      #expect(try sandbox.cgroups.usage() != nil)

      try await sandbox.cgroups.remove(podUID: "a", qos: .burstable)
      #expect(CgroupSandbox.signalThatEnded(direct) == SIGKILL)
      #expect(CgroupSandbox.signalThatEnded(inner) == SIGKILL)
      #expect(!sandbox.cgroups.exists(podUID: "a", qos: .burstable))
      #expect(sandbox.cgroups.list().isEmpty)
      // What is outside lives on.
      #expect(kill(other, 0) == 0)
      kill(other, SIGKILL)
      #expect(CgroupSandbox.signalThatEnded(other) == SIGKILL)
    }
  }

  @Test func endsFrozenProcesses() async throws {
    try await CgroupSandbox.with("frozen") { sandbox in
      guard let freezer = sandbox.cgroups.hierarchy.mounts["freezer"] else { return }
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "a", qos: .guaranteed, limits: CgroupLimits())
      let process = try sandbox.startProcess(in: "kubepods/poda", mounts: [freezer])
      try CgroupDirectory(path: "\(freezer)\(sandbox.root)/kubepods/poda").write("FROZEN", to: "freezer.state")
      try await sandbox.cgroups.endProcesses(podUID: "a", qos: .guaranteed)
      #expect(CgroupSandbox.signalThatEnded(process) == SIGKILL)
      #expect(sandbox.cgroups.exists(podUID: "a", qos: .guaranteed))
    }
  }

  @Test func measuresCPUAndMemory() async throws {
    try await CgroupSandbox.with("usage") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      try sandbox.cgroups.ensure(podUID: "a", qos: .guaranteed, limits: CgroupLimits())
      let mounts = ["memory", "cpuacct", "pids"].compactMap { sandbox.cgroups.hierarchy.mounts[$0] }
      // The process starts in the groups, so that its memory is theirs: the shell moves itself first and then works.
      let script =
        mounts.map { "echo $$ > \($0)\(sandbox.root)/kubepods/poda/cgroup.procs; " }.joined()
        + "x=$(head -c 3000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; kill -STOP $$"
      var process = pid_t()
      let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sh"), strdup("-c"), strdup(script), nil]
      defer { for argument in arguments { free(argument) } }
      var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/bin:/bin"), nil]
      defer { free(environment[0]) }
      try #require(posix_spawn(&process, "/bin/sh", nil, nil, arguments, &environment) == 0)
      var status: Int32 = 0
      while waitpid(process, &status, WUNTRACED) < 0, errno == EINTR {}
      try #require(status & 0xFF == 0x7F, "the shell ended early: \(status)")

      let usage = try #require(try sandbox.cgroups.usage(podUID: "a", qos: .guaranteed))
      #expect(usage.cpuNanoseconds > 0)
      #expect(usage.rssBytes >= 2_000_000)
      #expect(usage.workingSetBytes >= usage.rssBytes)
      #expect(usage.pids == 1)
      try await sandbox.cgroups.endProcesses(podUID: "a", qos: .guaranteed)
      #expect(CgroupSandbox.signalThatEnded(process) == SIGKILL)
    }
  }

  @Test func saysWhichFileWasRefused() async throws {
    try await CgroupSandbox.with("refused") { sandbox in
      try sandbox.cgroups.ensureHierarchy(CgroupLimits())
      let error = #expect(throws: CgroupError.self) {
        try sandbox.cgroups.ensure(podUID: "a", qos: .guaranteed, limits: CgroupLimits(cpuQuota: 10, cpuPeriod: 100_000))
      }
      #expect(error?.description.contains("write 10 to") == true)
      #expect(error?.description.contains("kubepods/poda/cpu.cfs_quota_us: Invalid argument") == true)
    }
  }
}
