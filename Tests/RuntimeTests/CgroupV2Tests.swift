import Glibc
import Testing

@testable import Runtime

/// A directory with the files that a v2 group with all controllers has. What the kernel would put into a new group isn't put
/// there by itself, so groups are made beforehand.
private final class ImitatedV2 {
  let mount: String

  init(controllers: String = "cpuset cpu io memory hugetlb pids") throws {
    var template = Array("/tmp/edgecore-cgroup2-XXXXXX".utf8CString)
    mount = try String(cString: #require(mkdtemp(&template)))
    try add("", controllers: controllers)
  }

  func add(_ group: String, controllers: String = "cpuset cpu io memory hugetlb pids") throws {
    mkdir(mount + group, 0o755)
    let files = [
      "cgroup.controllers": controllers + "\n", "cgroup.subtree_control": "", "cgroup.procs": "", "cpu.weight": "100\n",
      "cpu.max": "max 100000\n", "memory.max": "max\n", "pids.max": "max\n", "hugetlb.2MB.max": "max\n",
      "memory.current": "5000000\n", "memory.stat": "anon 3000000\nfile 2000000\ninactive_file 1500000\n",
      "cpu.stat": "usage_usec 1234\nuser_usec 1000\n", "pids.current": "7\n",
    ]
    for (name, text) in files {
      let descriptor = open("\(mount)\(group)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
      try #require(descriptor >= 0)
      write(descriptor, text, text.utf8.count)
      close(descriptor)
    }
  }

  /// Files of an imitation keep what was longer before: the kernel's don't.
  func read(_ path: String) throws -> String { try CgroupDirectory.read(mount + path) }

  func truncate(_ path: String) { Glibc.truncate(mount + path, 0) }

  deinit {
    func remove(_ path: String) {
      for child in CgroupDirectory(path: path).children() { remove(child.path) }
      if let stream = opendir(path) {
        while let entry = readdir(stream) {
          let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
          }
          unlink("\(path)/\(name)")
        }
        closedir(stream)
      }
      rmdir(path)
    }
    remove(mount)
  }
}

struct CgroupV2Tests {
  private func cgroups(_ imitation: ImitatedV2, driver: CRICgroupDriver = .cgroupfs, weight: CPUWeight = .linear) -> PodCgroups {
    PodCgroups(
      hierarchy: CgroupHierarchy(version: .v2, mounts: [:], unified: imitation.mount), driver: driver, root: "/edge", weight: weight)
  }

  @Test func enablesControllersInAnImitatedTree() throws {
    let imitation = try ImitatedV2()
    for group in ["/edge", "/edge/kubepods", "/edge/kubepods/burstable", "/edge/kubepods/besteffort"] { try imitation.add(group) }
    imitation.truncate("/edge/kubepods/cpu.weight")
    imitation.truncate("/edge/kubepods/memory.max")
    try cgroups(imitation).ensureHierarchy(CgroupLimits(cpuShares: 1024, memory: 1 << 30))
    // Each controller is written on its own; the last is what a plain file shows.
    for group in ["", "/edge", "/edge/kubepods"] { #expect(try imitation.read("\(group)/cgroup.subtree_control").hasPrefix("+")) }
    #expect(try imitation.read("/edge/kubepods/burstable/cgroup.subtree_control") == "")
    #expect(try imitation.read("/edge/kubepods/cpu.weight") == "39")
    #expect(try imitation.read("/edge/kubepods/memory.max") == "1073741824")
  }

  @Test(arguments: [
    (CgroupLimits(cpuShares: 1024), CPUWeight.linear, "cpu.weight", "39"), (CgroupLimits(cpuShares: 1024), .curved, "cpu.weight", "100"),
    (CgroupLimits(cpuQuota: 50_000, cpuPeriod: 100_000), .linear, "cpu.max", "50000 100000"),
    (CgroupLimits(cpuQuota: -1, cpuPeriod: 20_000), .linear, "cpu.max", "max 20000"),
    (CgroupLimits(memory: 1 << 20), .linear, "memory.max", "1048576"), (CgroupLimits(memory: -1), .linear, "memory.max", "max"),
    (CgroupLimits(pids: 12), .linear, "pids.max", "12"), (CgroupLimits(pids: -1), .linear, "pids.max", "max"),
    (CgroupLimits(hugepages: ["2MB": 0, "1GB": 0]), .linear, "hugetlb.2MB.max", "0"),
  ])
  func writesLimitsInAnImitatedTree(limits: CgroupLimits, weight: CPUWeight, file: String, text: String) throws {
    let imitation = try ImitatedV2()
    for group in ["/edge", "/edge/kubepods", "/edge/kubepods/burstable", "/edge/kubepods/burstable/poda"] { try imitation.add(group) }
    imitation.truncate("/edge/kubepods/burstable/poda/\(file)")
    try cgroups(imitation, weight: weight).ensure(podUID: "a", qos: .burstable, limits: limits)
    #expect(try imitation.read("/edge/kubepods/burstable/poda/\(file)") == text)
  }

  @Test func readsUsageInAnImitatedTree() throws {
    let imitation = try ImitatedV2()
    for group in ["/edge", "/edge/kubepods", "/edge/kubepods/poda"] { try imitation.add(group) }
    let usage = try cgroups(imitation).usage(podUID: "a", qos: .guaranteed)
    var expected = CgroupUsage(cpuNanoseconds: 1_234_000, memoryBytes: 5_000_000, workingSetBytes: 3_500_000, rssBytes: 3_000_000, pids: 7)
    expected.cacheBytes = 2_000_000
    #expect(usage == expected)
    #expect(try cgroups(imitation).usage(podUID: "b", qos: .guaranteed) == nil)
    #expect(cgroups(imitation).list() == [PodCgroup(uid: "a", qos: .guaranteed)])
  }

  @Test func namesMissingControllersInAnImitatedTree() throws {
    let imitation = try ImitatedV2(controllers: "cpu io pids")
    #expect(throws: CgroupError.missingControllers(["cpuset", "memory"], available: ["cpu", "io", "pids"])) {
      try cgroups(imitation).ensureHierarchy(CgroupLimits())
    }
  }

  @Test func systemdOwnsItsSlicesInAnImitatedTree() throws {
    let imitation = try ImitatedV2()
    let cgroups = cgroups(imitation, driver: .systemd)
    try cgroups.ensureHierarchy(CgroupLimits(cpuShares: 1024))
    try cgroups.ensure(podUID: "a-b", qos: .burstable, limits: CgroupLimits(cpuShares: 2))
    #expect(CgroupDirectory(path: imitation.mount).children().isEmpty)
    let slice = "/edge.slice/edge-kubepods.slice/edge-kubepods-burstable.slice/edge-kubepods-burstable-poda_b.slice"
    #expect(cgroups.cgroupParent(podUID: "a-b", qos: .burstable) == slice)
    var path = ""
    for part in slice.split(separator: "/") {
      path += "/\(part)"
      mkdir(imitation.mount + path, 0o755)
    }
    #expect(cgroups.list() == [PodCgroup(uid: "a-b", qos: .burstable)])
  }

  /// A v2 mount without controllers still has groups and processes.
  @Test(
    .enabled(
      if: getuid() == 0 && CgroupSandbox.hierarchy?.unified != nil, "needs root and a mounted cgroup v2"))
  func endsProcessesAndRemovesGroupsOfTheRealV2() async throws {
    let mount = try #require(CgroupSandbox.hierarchy?.unified)
    let root = "/edgecore-test-\(getpid())-v2"
    let cgroups = PodCgroups(hierarchy: CgroupHierarchy(version: .v2, mounts: [:], unified: mount), driver: .cgroupfs, root: root)
    var directory = CgroupDirectory(path: mount + root)
    try directory.make()
    for name in ["kubepods", "burstable", "poda", "container"] {
      directory = directory.appending(name)
      try directory.make()
    }
    let process = try CgroupSandbox.sleeper()
    try directory.write(String(process), to: "cgroup.procs")
    #expect(cgroups.list() == [PodCgroup(uid: "a", qos: .burstable)])
    try await cgroups.remove(podUID: "a", qos: .burstable)
    #expect(CgroupSandbox.signalThatEnded(process) == SIGKILL)
    #expect(cgroups.list().isEmpty)
    try CgroupRemoval(groups: cgroups.directories(cgroups.root), timeout: .seconds(20)).run()
    #expect(!CgroupDirectory(path: mount + root).exists)
  }
}
