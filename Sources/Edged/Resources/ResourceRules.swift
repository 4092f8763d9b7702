import KubernetesAPI
import Runtime

/// Turns requests and limits into what the engine and the kernel take.
struct ResourceRules: Sendable, Hashable {
  /// Off: CPU limits are not enforced.
  var cpuCFSQuota = true
  /// Microseconds.
  var cpuCFSQuotaPeriod = CPUShares.defaultPeriod
  /// The kernel's control groups are v2.
  var cgroupV2: Bool
  /// On: when a container is out of memory, only the process that asked for more ends. Control groups v1 can't do otherwise.
  var singleProcessOOMKill = false
  /// The kernel limits swap by control group, so that containers can be kept from using any.
  var swapAccounting: Bool
  /// What the kernel offers.
  var hugepageSizes: [HugepageSize]
  /// Bytes.
  var memoryCapacity: Int64
  /// Processes and threads of one pod; 0 and below: no limit.
  var podPidsLimit: Int64 = -1

  /// For one container.
  func container(_ pod: Pod, _ container: Container) -> CRILinuxContainerResources {
    var resources = linux(
      cpuRequest: container.requests["cpu"], cpuLimit: container.limits["cpu"], memoryLimit: container.limits["memory"])
    resources.oomScoreAdj = OOMScore.adjustment(pod, container, memoryCapacity: memoryCapacity)
    let limits = hugepages(container.limits)
    resources.hugepageLimits = hugepageSizes.map { size in
      var limit = CRIHugepageLimit()
      limit.pageSize = size.pageSize
      limit.limit = UInt64(clamping: limits[size.pageSize] ?? 0)
      return limit
    }
    guard swapAccounting else { return resources }
    // No swap: with v1, memory and swap together may be no more than memory alone.
    if cgroupV2 {
      resources.unified["memory.swap.max"] = "0"
    } else {
      resources.memorySwapLimitInBytes = resources.memoryLimitInBytes
    }
    return resources
  }

  /// Those of all containers together, as a sandbox's `resources`.
  func sandbox(_ pod: Pod) -> CRILinuxContainerResources {
    let requests = PodResources.requests(pod, includingOverhead: false)
    let limits = PodResources.limits(pod, includingOverhead: false)
    return linux(cpuRequest: requests["cpu"], cpuLimit: limits["cpu"], memoryLimit: limits["memory"])
  }

  /// What the sandbox itself needs; nil if the pod doesn't say.
  func overhead(_ pod: Pod) -> CRILinuxContainerResources? {
    guard let overhead = pod.spec.overhead else { return nil }
    return linux(cpuRequest: overhead["cpu"], cpuLimit: overhead["cpu"], memoryLimit: overhead["memory"])
  }

  /// For the pod's own control group.
  func podCgroup(_ pod: Pod) -> CgroupLimits {
    var result = CgroupLimits(cpuShares: CPUShares.minimum)
    let requests = PodResources.requests(pod)
    let limits = PodResources.limits(pod)
    let qos = QOSClass.of(pod)
    if qos != .bestEffort {
      result.cpuShares = CPUShares.shares(milliCPU: requests["cpu"]?.milliValue ?? 0)
      if qos == .guaranteed || everyContainer(pod, limits: "cpu") {
        let quota = CPUShares.quota(milliCPU: limits["cpu"]?.milliValue ?? 0, period: cpuCFSQuotaPeriod)
        result.cpuQuota = cpuCFSQuota && quota > 0 ? quota : -1
        result.cpuPeriod = cpuCFSQuotaPeriod
      }
      if qos == .guaranteed || everyContainer(pod, limits: "memory") { result.memory = limits["memory"]?.value }
    }
    let wished = hugepages(requests)
    for size in hugepageSizes { result.hugepages[size.pageSize] = wished[size.pageSize] ?? 0 }
    if podPidsLimit > 0 { result.pids = podPidsLimit }
    return result
  }

  /// The weight of all burstable pods together.
  static func burstableShares(_ pods: some Sequence<Pod>) -> Int64 {
    var request = Quantity(value: 0)
    for pod in pods where QOSClass.of(pod) == .burstable {
      if let cpu = PodResources.requests(pod)["cpu"] { request = request.adding(cpu) }
    }
    return CPUShares.shares(milliCPU: request.milliValue)
  }

  private func linux(cpuRequest: Quantity?, cpuLimit: Quantity?, memoryLimit: Quantity?) -> CRILinuxContainerResources {
    var resources = CRILinuxContainerResources()
    resources.cpuShares = CPUShares.shares(milliCPU: (cpuRequest ?? cpuLimit)?.milliValue ?? 0)
    resources.memoryLimitInBytes = max(0, memoryLimit?.value ?? 0)
    if cpuCFSQuota {
      resources.cpuPeriod = cpuCFSQuotaPeriod
      resources.cpuQuota = CPUShares.quota(milliCPU: cpuLimit?.milliValue ?? 0, period: cpuCFSQuotaPeriod)
    }
    if cgroupV2, !singleProcessOOMKill { resources.unified["memory.oom.group"] = "1" }
    return resources
  }

  /// Bytes by the kernel's names of page sizes.
  private func hugepages(_ amounts: ResourceList) -> [String: Int64] {
    var result: [String: Int64] = [:]
    for (name, amount) in amounts {
      if let size = HugepageSize(resource: name) { result[size.pageSize, default: 0] += amount.value }
    }
    return result
  }

  private func everyContainer(_ pod: Pod, limits resource: String) -> Bool {
    if let limit = pod.spec.resources?.limits?[resource], limit.milliValue > 0 { return true }
    return (pod.spec.containers + (pod.spec.initContainers ?? [])).allSatisfy { ($0.limits[resource]?.milliValue ?? 0) > 0 }
  }
}
