import KubernetesAPI
import Runtime
import Testing

@testable import Edged

struct QOSClassTests {
  @Test(arguments: [
    ("containers: [{name: a}]", PodQOSClass.bestEffort),
    ("containers: [{name: a, resources: {requests: {cpu: 0}}}]", .bestEffort),
    ("containers: [{name: a, resources: {limits: {ephemeral-storage: 1Gi}}}]", .bestEffort),
    ("containers: [{name: a, resources: {requests: {cpu: 1m}}}]", .burstable),
    ("containers: [{name: a, resources: {limits: {cpu: 1}}}]", .burstable),
    ("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]", .guaranteed),
    ("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m, memory: 1024Mi}}}]", .guaranteed),
    ("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1, memory: 1Mi}}}]", .burstable),
    ("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}, {name: b}]", .burstable),
    (
      "{containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}], initContainers: [{name: i}]}", .burstable
    ),
    (
      "{containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}], ephemeralContainers: [{name: e}]}", .guaranteed
    ),
    ("{resources: {limits: {cpu: 1, memory: 1Gi}}, containers: [{name: a}]}", .guaranteed),
    ("{resources: {requests: {memory: 1Gi}}, containers: [{name: a}]}", .burstable),
  ])
  func classes(spec: String, expected: PodQOSClass) throws {
    #expect(QOSClass.of(try Pod.yaml(spec)) == expected)
  }
}

struct PodResourcesTests {
  /// CPU in thousandths of what the pod needs at its most demanding moment.
  @Test(arguments: [
    ("containers: [{name: a, resources: {requests: {cpu: 1}}}, {name: b, resources: {requests: {cpu: 2}}}]", Int64(3000)),
    ("{initContainers: [{name: i, resources: {requests: {cpu: 5}}}], containers: [{name: a, resources: {requests: {cpu: 1}}}]}", 5000),
    ("{initContainers: [{name: i, resources: {requests: {cpu: 1}}}], containers: [{name: a, resources: {requests: {cpu: 2}}}]}", 2000),
    // A sidecar before an init container runs beside it: 1 + 5; one after it doesn't.
    (
      """
      initContainers:
      - {name: s, restartPolicy: Always, resources: {requests: {cpu: 1}}}
      - {name: i, resources: {requests: {cpu: 5}}}
      containers: [{name: a, resources: {requests: {cpu: 2}}}]
      """, 6000
    ),
    (
      """
      initContainers:
      - {name: i, resources: {requests: {cpu: 5}}}
      - {name: s, restartPolicy: Always, resources: {requests: {cpu: 1}}}
      containers: [{name: a, resources: {requests: {cpu: 2}}}]
      """, 5000
    ),
    (
      """
      initContainers:
      - {name: s, restartPolicy: Always, resources: {requests: {cpu: 1}}}
      - {name: t, restartPolicy: Always, resources: {requests: {cpu: 3}}}
      containers: [{name: a, resources: {requests: {cpu: 2}}}]
      """, 6000
    ),
    ("{overhead: {cpu: 250m}, containers: [{name: a, resources: {requests: {cpu: 1}}}]}", 1250),
    ("{resources: {requests: {cpu: 4}}, overhead: {cpu: 250m}, containers: [{name: a, resources: {requests: {cpu: 1}}}]}", 4250),
    ("containers: [{name: a, resources: {limits: {cpu: 1}}}]", 1000),
  ])
  func requests(spec: String, milliCPU: Int64) throws {
    #expect(PodResources.requests(try Pod.yaml(spec))["cpu"]?.milliValue == milliCPU)
  }

  @Test func overheadRaisesOnlyLimitsThatAreThere() throws {
    let pod = try Pod.yaml("{overhead: {cpu: 1, memory: 1Mi}, containers: [{name: a, resources: {limits: {memory: 1Mi}}}]}")
    #expect(PodResources.limits(pod) == ["memory": Quantity(value: 2 << 20)])
    #expect(PodResources.limits(pod, includingOverhead: false) == ["memory": Quantity(value: 1 << 20)])
  }
}

struct OOMScoreTests {
  private static let gibibyte: Int64 = 1 << 30

  @Test(arguments: [
    ("containers: [{name: a}]", Int64(1000)),
    ("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]", -997),
    ("{priority: 2000001000, priorityClassName: system-node-critical, containers: [{name: a}]}", -997),
    ("{priority: 2000000000, priorityClassName: system-cluster-critical, containers: [{name: a}]}", 1000),
    ("containers: [{name: a, resources: {requests: {memory: 2Gi}}}]", 500),
    ("containers: [{name: a, resources: {requests: {memory: 4Gi}}}]", 3),
    ("containers: [{name: a, resources: {requests: {memory: 8Gi}}}]", 3),
    ("containers: [{name: a, resources: {requests: {cpu: 1}}}]", 999),
    ("containers: [{name: a, resources: {requests: {memory: 1}}}]", 999),
  ])
  func regular(spec: String, expected: Int64) throws {
    let pod = try Pod.yaml(spec)
    #expect(OOMScore.adjustment(pod, pod.spec.containers[0], memoryCapacity: 4 * Self.gibibyte) == expected)
  }

  /// A sidecar is never likelier to be killed than the likeliest regular container.
  @Test(arguments: [("100Mi", Int64(750)), ("2Gi", 500)])
  func sidecar(request: String, expected: Int64) throws {
    let pod = try Pod.yaml(
      """
      initContainers:
      - {name: s, restartPolicy: Always, resources: {requests: {memory: \(request)}}}
      containers:
      - {name: a, resources: {requests: {memory: 1Gi}}}
      - {name: b, resources: {requests: {memory: 3Gi}}}
      """)
    let sidecar = try #require(pod.spec.initContainers?.first)
    #expect(OOMScore.adjustment(pod, sidecar, memoryCapacity: 4 * Self.gibibyte) == expected)
  }
}

struct HugepageSizeTests {
  @Test(arguments: [
    ("hugepages-2048kB", "2MB", "hugepages-2Mi"), ("hugepages-1048576kB", "1GB", "hugepages-1Gi"),
    ("hugepages-64kB", "64KB", "hugepages-64Ki"),
  ])
  func names(directory: String, pageSize: String, resource: String) throws {
    let size = try #require(HugepageSize(directory: directory))
    #expect(size.pageSize == pageSize)
    #expect(size.resource == resource)
    #expect(HugepageSize(resource: resource) == size)
  }

  @Test(arguments: ["hugepages-", "hugepages-x", "memory", "hugepages-0"])
  func noSize(resource: String) { #expect(HugepageSize(resource: resource) == nil) }
}

struct ResourceRulesTests {
  private func rules(v2: Bool = false, swap: Bool = false) -> ResourceRules {
    ResourceRules(
      cgroupV2: v2, swapAccounting: swap, hugepageSizes: [HugepageSize(bytes: 2 << 20), HugepageSize(bytes: 1 << 30)],
      memoryCapacity: 4 << 30)
  }

  private func container(_ resources: String, _ rules: ResourceRules) throws -> CRILinuxContainerResources {
    let pod = try Pod.yaml("containers: [{name: a, resources: {\(resources)}}]")
    return rules.container(pod, pod.spec.containers[0])
  }

  @Test(arguments: [
    ("", Int64(2), Int64(0), Int64(0)), ("requests: {cpu: 1m}", 2, 0, 0), ("requests: {cpu: 250m}", 256, 0, 0),
    ("limits: {cpu: 250m}", 256, 25_000, 0), ("limits: {cpu: 5m}", 5, 1000, 0),
    ("requests: {cpu: 100m}, limits: {cpu: 2, memory: 64Mi}", 102, 200_000, 64 << 20),
    ("requests: {cpu: 1000}", 262_144, 0, 0), ("requests: {cpu: 0}, limits: {cpu: 1}", 2, 100_000, 0),
  ])
  func cpuAndMemory(resources: String, shares: Int64, quota: Int64, memory: Int64) throws {
    let result = try container(resources, rules())
    #expect(result.cpuShares == shares)
    #expect(result.cpuQuota == quota)
    #expect(result.cpuPeriod == 100_000)
    #expect(result.memoryLimitInBytes == memory)
  }

  @Test func quotaCanBeSwitchedOff() throws {
    var rules = rules()
    rules.cpuCFSQuota = false
    let result = try container("limits: {cpu: 1, memory: 1Gi}", rules)
    #expect(result.cpuQuota == 0 && result.cpuPeriod == 0 && result.cpuShares == 1024)
    #expect(rules.podCgroup(try Pod.yaml("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]")).cpuQuota == -1)
  }

  @Test func periodIsASetting() throws {
    var rules = rules()
    rules.cpuCFSQuotaPeriod = 20_000
    let result = try container("limits: {cpu: 500m}", rules)
    #expect(result.cpuQuota == 10_000 && result.cpuPeriod == 20_000)
  }

  @Test func everyPageSizeHasALimit() throws {
    let result = try container("limits: {hugepages-2Mi: 8Mi, memory: 1Gi}", rules())
    #expect(result.hugepageLimits.map { "\($0.pageSize) \($0.limit)" } == ["2MB 8388608", "1GB 0"])
  }

  @Test func groupsOfV2EndTogetherAndDoNotSwap() throws {
    #expect(try container("", rules(v2: true)).unified == ["memory.oom.group": "1"])
    #expect(try container("", rules(v2: true, swap: true)).unified == ["memory.oom.group": "1", "memory.swap.max": "0"])
    var single = rules(v2: true)
    single.singleProcessOOMKill = true
    #expect(try container("", single).unified == [:])
    let v1 = try container("limits: {memory: 64Mi}", rules(swap: true))
    #expect(v1.unified == [:] && v1.memorySwapLimitInBytes == 64 << 20)
    #expect(try container("limits: {memory: 64Mi}", rules()).memorySwapLimitInBytes == 0)
  }

  @Test(arguments: [
    // Guaranteed: everything.
    (
      "containers: [{name: a, resources: {limits: {cpu: 1, memory: 64Mi}}}]",
      CgroupLimits(cpuShares: 1024, cpuQuota: 100_000, cpuPeriod: 100_000, memory: 64 << 20)
    ),
    // Burstable: a limit only where each container has one.
    (
      "containers: [{name: a, resources: {limits: {cpu: 1}}}, {name: b, resources: {limits: {cpu: 500m, memory: 1Mi}}}]",
      CgroupLimits(cpuShares: 1536, cpuQuota: 150_000, cpuPeriod: 100_000)
    ),
    (
      "containers: [{name: a, resources: {limits: {memory: 1Mi}}}, {name: b, resources: {limits: {memory: 2Mi}}}]",
      CgroupLimits(cpuShares: 2, memory: 3 << 20)
    ),
    (
      "{initContainers: [{name: i}], containers: [{name: a, resources: {limits: {memory: 1Mi}}}]}", CgroupLimits(cpuShares: 2)
    ),
    ("containers: [{name: a}]", CgroupLimits(cpuShares: 2)),
    (
      "{overhead: {cpu: 500m, memory: 1Mi}, containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Mi}}}]}",
      CgroupLimits(cpuShares: 1536, cpuQuota: 150_000, cpuPeriod: 100_000, memory: 2 << 20)
    ),
  ])
  func podGroups(spec: String, expected: CgroupLimits) throws {
    var rules = rules()
    rules.hugepageSizes = []
    #expect(rules.podCgroup(try Pod.yaml(spec)) == expected)
  }

  @Test func podGroupsLimitHugePagesAndProcesses() throws {
    var rules = rules()
    rules.podPidsLimit = 100
    let limits = rules.podCgroup(try Pod.yaml("containers: [{name: a, resources: {limits: {hugepages-2Mi: 4Mi, memory: 1Mi}}}]"))
    #expect(limits.hugepages == ["2MB": 4 << 20, "1GB": 0])
    #expect(limits.pids == 100)
  }

  @Test func burstableSharesAddUp() throws {
    let burstable = try Pod.yaml("containers: [{name: a, resources: {requests: {cpu: 500m}}}]")
    let guaranteed = try Pod.yaml("containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Mi}}}]")
    #expect(ResourceRules.burstableShares([burstable, burstable, guaranteed]) == 1024)
    #expect(ResourceRules.burstableShares([Pod]()) == 2)
  }
}
