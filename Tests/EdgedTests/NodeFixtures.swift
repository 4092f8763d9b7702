import Core
import KubernetesAPI

@testable import Edged

/// A node as the tests of its builders and of its reporter have it.
enum NodeFixtures {
  static let facts = NodeFacts(
    name: "edge-1", hostIPs: ["192.0.2.7"],
    capacity: quantities(["cpu": "2", "memory": "24684096Ki", "ephemeral-storage": "264212084Ki", "pods": "110", "hugepages-2Mi": "0"]),
    allocatable: quantities(["cpu": "2", "memory": "24581696Ki", "ephemeral-storage": "243497856212", "pods": "110", "hugepages-2Mi": "0"]))

  static let system: NodeSystem = {
    var system = NodeSystem()
    system.machineID = "3d1219c7"
    system.systemUUID = "9f1219c7"
    system.bootID = "43d72035"
    system.kernelVersion = "6.1.0-18-amd64"
    system.osImage = "Debian GNU/Linux 12 (bookworm)"
    system.architecture = "arm64"
    return system
  }()

  static var observation: NodeObservation {
    var observation = NodeObservation(facts: facts, system: system)
    observation.engine.name = "containerd"
    observation.engine.version = "1.6.20~ds1"
    return observation
  }

  static func quantities(_ texts: [String: String]) -> [String: Quantity] { texts.compactMapValues { Quantity($0) } }
}
