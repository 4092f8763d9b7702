import Testing

@testable import Runtime

struct CgroupNameTests {
  private static let uid = "2f3c1d3a-7a1e-4a65-9d0e-000000000001"

  @Test(arguments: [
    (CgroupQOS.guaranteed, "/kubepods/pod\(uid)", "/kubepods.slice/kubepods-pod2f3c1d3a_7a1e_4a65_9d0e_000000000001.slice"),
    (
      .burstable, "/kubepods/burstable/pod\(uid)",
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2f3c1d3a_7a1e_4a65_9d0e_000000000001.slice"
    ),
    (
      .bestEffort, "/kubepods/besteffort/pod\(uid)",
      "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2f3c1d3a_7a1e_4a65_9d0e_000000000001.slice"
    ),
  ])
  func podGroups(qos: CgroupQOS, cgroupfs: String, systemd: String) {
    let name = CgroupName.pod(uid: Self.uid, qos: qos)
    #expect(name.path(.cgroupfs) == cgroupfs)
    #expect(name.path(.systemd) == systemd)
    #expect("/" + name.slice == "/" + (systemd.split(separator: "/").last ?? ""))
  }

  @Test func liesBelowTheRoot() {
    let root = CgroupName(path: "/edge-node/pods")
    let name = CgroupName.qos(.burstable, root: root)
    #expect(name.path(.cgroupfs) == "/edge-node/pods/kubepods/burstable")
    #expect(
      name.path(.systemd)
        == "/edge_node.slice/edge_node-pods.slice/edge_node-pods-kubepods.slice/edge_node-pods-kubepods-burstable.slice")
    #expect(CgroupName(path: "/").path(.cgroupfs) == "/")
    #expect(CgroupName(path: "/").path(.systemd) == "/")
    #expect(CgroupName(path: "").slice == "-.slice")
  }

  @Test(arguments: [
    ("pod\(uid)", CRICgroupDriver.cgroupfs, uid as String?), ("pod0123abcd", .cgroupfs, "0123abcd"), ("pod", .cgroupfs, nil),
    ("burstable", .cgroupfs, nil), ("kubepods-burstable-pod2f3c1d3a_7a1e_4a65_9d0e_000000000001.slice", .systemd, uid),
    ("kubepods-besteffort-pod1.slice", .systemd, nil), ("pod\(uid)", .systemd, nil), ("kubepods-burstable-pod.slice", .systemd, nil),
  ])
  func readsUIDs(directory: String, driver: CRICgroupDriver, uid: String?) {
    #expect(CgroupName.podUID(directory: directory, parent: CgroupName.qos(.burstable), driver: driver) == uid)
  }
}

struct CPUSharesTests {
  @Test(arguments: [(Int64(0), Int64(2)), (1, 2), (2, 2), (3, 3), (250, 256), (1000, 1024), (256_000, 262_144), (.max, 262_144), (-5, 2)])
  func shares(milliCPU: Int64, shares: Int64) { #expect(CPUShares.shares(milliCPU: milliCPU) == shares) }

  @Test(arguments: [(Int64(0), Int64(0)), (1, 1000), (10, 1000), (11, 1100), (500, 50_000), (2500, 250_000)])
  func quotas(milliCPU: Int64, quota: Int64) { #expect(CPUShares.quota(milliCPU: milliCPU) == quota) }

  @Test(arguments: [
    (Int64(0), Int64(1), Int64(1)), (2, 1, 1), (1024, 39, 100), (262_144, 10_000, 10_000), (.max, 10_000, 10_000),
  ])
  func weights(shares: Int64, linear: Int64, curved: Int64) {
    #expect(CPUWeight.linear.weight(shares: shares) == linear)
    #expect(CPUWeight.curved.weight(shares: shares) == curved)
  }

  @Test func weightsGrowWithShares() {
    for weight in [CPUWeight.linear, .curved] {
      let weights = stride(from: Int64(2), through: 262_144, by: 97).map { weight.weight(shares: $0) }
      #expect(zip(weights, weights.dropFirst()).allSatisfy { $0 <= $1 })
      #expect(weights.allSatisfy { (1...10_000).contains($0) })
    }
  }
}

struct CgroupHierarchyTests {
  private static let line1 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
  private static let v1 =
    line1 + "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
    + "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    + "37 31 0:35 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    + "38 31 0:36 / /sys/fs/cgroup/cpu\\040set rw - cgroup cgroup rw,cpuset,clone_children\n"
    + "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    + "90 31 0:32 /docker/1 /other/memory rw - cgroup cgroup rw,memory\n"
  private static let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"

  @Test func findsV1() throws {
    let hierarchy = try #require(CgroupHierarchy(mountInfo: Self.v1))
    #expect(hierarchy.version == .v1)
    #expect(hierarchy.unified == nil)
    #expect(
      hierarchy.mounts == [
        "cpu": "/sys/fs/cgroup/cpu,cpuacct", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct", "memory": "/sys/fs/cgroup/memory",
        "pids": "/sys/fs/cgroup/pids", "cpuset": "/sys/fs/cgroup/cpu set", "name=systemd": "/sys/fs/cgroup/systemd",
      ])
    #expect(
      hierarchy.roots == [
        "/sys/fs/cgroup/cpu set", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/systemd",
      ])
    try hierarchy.requireControllers()
  }

  @Test func findsV2() throws {
    let hierarchy = try #require(CgroupHierarchy(mountInfo: Self.v2))
    #expect(hierarchy.version == .v2 && hierarchy.unified == "/sys/fs/cgroup" && hierarchy.mounts.isEmpty)
    #expect(hierarchy.roots == ["/sys/fs/cgroup"])
  }

  @Test func findsTheMixture() throws {
    let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
    let hierarchy = try #require(CgroupHierarchy(mountInfo: Self.v1 + unified))
    #expect(hierarchy.version == .hybrid && hierarchy.unified == "/sys/fs/cgroup/unified")
    #expect(hierarchy.roots.contains("/sys/fs/cgroup/unified") && hierarchy.roots.contains("/sys/fs/cgroup/memory"))
    #expect(try hierarchy.controllers() == ["cpu", "cpuacct", "cpuset", "memory", "pids"])
  }

  @Test func findsNothing() {
    #expect(CgroupHierarchy(mountInfo: Self.line1) == nil)
    #expect(CgroupHierarchy(mountInfo: "garbage\n\n - cgroup2") == nil)
  }

  @Test func namesWhatIsMissing() throws {
    let hierarchy = try #require(CgroupHierarchy(mountInfo: Self.line1 + "32 31 0:29 / /c/cpu rw - cgroup cgroup rw,cpu\n"))
    let error = #expect(throws: CgroupError.self) { try hierarchy.requireControllers() }
    #expect(error == .missingControllers(["cpuset", "memory", "pids", "cpuacct"], available: ["cpu"]))
    #expect(error?.description.contains("cpuset, memory, pids, cpuacct") == true)
  }

  @Test func readsThisMachine() throws {
    let hierarchy = try CgroupHierarchy.detect()
    #expect(!hierarchy.roots.isEmpty)
    #expect(throws: CgroupError.system(operation: "open", path: "/nowhere", code: 2)) {
      try CgroupHierarchy.detect(mountInfo: "/nowhere")
    }
    #expect(throws: CgroupError.noHierarchy(source: "/proc/self/stat")) { try CgroupHierarchy.detect(mountInfo: "/proc/self/stat") }
  }
}
