import KubernetesAPI

/// A resource of which the node has too little left for a pod. CPU is in thousandths, all else in bytes or pieces.
struct ResourceShortfall: Sendable, Hashable {
  /// `cpu`, `memory`, `pods`, …
  var resource: String
  var requested: Int64
  /// By the other pods.
  var used: Int64
  /// What pods may have together.
  var capacity: Int64

  /// What other pods would have to give back.
  var missing: Int64 {
    let (missing, overflow) = requested.subtractingReportingOverflow(capacity - used)
    return overflow ? .max : missing
  }

  var rejection: AdmissionRejection {
    AdmissionRejection(
      reason: "OutOf\(resource)",
      message: "Node didn't have enough resource: \(resource), requested: \(requested), used: \(used), capacity: \(capacity)")
  }
}

/// Whether what a pod asks for is left beside the others.
enum ResourceFit {
  /// In the order in which they are told: pods, CPU, memory, storage, then the rest by name.
  static func shortfalls(of pod: Pod, beside others: [Pod], allocatable: ResourceList) -> [ResourceShortfall] {
    let requests = PodResources.requests(pod)
    var used: ResourceList = [:]
    for other in others { used.add(PodResources.requests(other)) }

    var found: [ResourceShortfall] = []
    func check(_ resource: String, _ requested: Int64, _ used: Int64) {
      let used = max(0, used)
      let capacity = amount(allocatable[resource], of: resource)
      if requested > 0, requested > capacity - used {
        found.append(ResourceShortfall(resource: resource, requested: requested, used: used, capacity: capacity))
      }
    }
    check("pods", 1, Int64(others.count))
    let native = ["cpu", "memory", "ephemeral-storage"]
    let rest = requests.keys.filter { name in
      // The node can't say how much it has of what nobody told it of.
      name.hasPrefix("hugepages-") || isExtended(name) && allocatable[name] != nil
    }
    for name in native + rest.sorted() { check(name, amount(requests[name], of: name), amount(used[name], of: name)) }
    return found
  }

  /// What a pod gives back when it ends.
  static func amount(_ resource: String, of pod: Pod) -> Int64 {
    resource == "pods" ? 1 : amount(PodResources.requests(pod)[resource], of: resource)
  }

  private static func amount(_ quantity: Quantity?, of resource: String) -> Int64 {
    max(0, (resource == "cpu" ? quantity?.milliValue : quantity?.value) ?? 0)
  }

  /// Devices, by names with a domain that isn't Kubernetes' own.
  private static func isExtended(_ name: String) -> Bool { NodeStatusBuilder.isForeign(name) && !name.contains("kubernetes.io/") }
}
