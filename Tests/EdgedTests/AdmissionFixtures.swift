import KubernetesAPI

@testable import Edged

/// A node and its rules as tests of admission have them.
enum AdmissionFixture {
  static let labels = ["kubernetes.io/os": "linux", "site": "north", "floor": "3"]

  static func admission(
    _ allocatable: [String: String] = ["cpu": "3", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3", "hugepages-2Mi": "4Mi"],
    labels: [String: String] = labels, taints: [Taint] = [], devices: [String: String] = [:], pressure: NodePressure = NodePressure(),
    hostHasAppArmor: Bool = true, engineSupportsGroupsPolicy: Bool = true
  ) throws -> PodAdmission {
    PodAdmission(
      node: NodeTraits(name: "edge-1", labels: labels, taints: taints, devices: NodeFixtures.quantities(devices)),
      allocatable: NodeFixtures.quantities(allocatable), pressure: pressure,
      sysctls: try SysctlAllowlist(kernel: KernelVersion(major: 6, minor: 1)), hostHasAppArmor: hostHasAppArmor,
      engineSupportsGroupsPolicy: engineSupportsGroupsPolicy)
  }

  static func pod(_ name: String, _ spec: String = "containers: [{name: main}]", isStatic: Bool = false, labels: [String: String]? = nil)
    throws -> Pod
  {
    var pod = try Pod.yaml(spec, labels: labels, annotations: isStatic ? [CriticalPod.sourceAnnotation: "file"] : nil)
    pod.metadata.name = name
    pod.metadata.uid = "u-\(name)"
    return pod
  }

  /// - Parameter limits: as well as requests, so that the pod is guaranteed.
  static func pod(
    _ name: String, cpu: String, memory: String? = nil, priority: Int32? = nil, isStatic: Bool = false, limits: Bool = false
  ) throws -> Pod {
    let amounts = "{cpu: \(cpu)\(memory.map { ", memory: \($0)" } ?? "")}"
    var pod = try pod(
      name, "containers: [{name: main, resources: {requests: \(amounts)\(limits ? ", limits: \(amounts)" : "")}}]", isStatic: isStatic)
    pod.spec.priority = priority
    return pod
  }
}
