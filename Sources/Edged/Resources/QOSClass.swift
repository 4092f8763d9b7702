import KubernetesAPI
import Runtime

/// The quality of service a pod gets from its CPU and memory settings.
enum QOSClass {
  private static let resources = ["cpu", "memory"]

  static func of(_ pod: Pod) -> PodQOSClass {
    let requirements: [ResourceRequirements?]
    if let podLevel = pod.spec.resources, isSet(podLevel) {
      requirements = [podLevel]
    } else {
      requirements = (pod.spec.containers + (pod.spec.initContainers ?? [])).map(\.resources)
    }
    var requests: ResourceList = [:]
    var limits: ResourceList = [:]
    var everyLimitIsSet = true
    for requirement in requirements {
      let own = positive(requirement?.limits)
      limits.add(own)
      requests.add(positive(requirement?.requests).merging(own.filter { requirement?.requests?[$0.key] == nil }) { request, _ in request })
      if own.count < resources.count { everyLimitIsSet = false }
    }
    if requests.isEmpty && limits.isEmpty { return .bestEffort }
    return everyLimitIsSet && requests == limits ? .guaranteed : .burstable
  }

  private static func isSet(_ requirements: ResourceRequirements) -> Bool {
    !positive(requirements.limits).isEmpty || !positive(requirements.requests).isEmpty
  }

  private static func positive(_ list: ResourceList?) -> ResourceList {
    (list ?? [:]).filter { resources.contains($0.key) && $0.value.milliValue > 0 }
  }
}

extension PodQOSClass {
  /// The kind of control group that pods of this class are in.
  var cgroup: CgroupQOS {
    switch self {
    case .guaranteed: .guaranteed
    case .burstable: .burstable
    case .bestEffort: .bestEffort
    }
  }
}
