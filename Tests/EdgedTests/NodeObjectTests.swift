import Core
import KubernetesAPI
import Testing
import YAML

@testable import Edged

struct NodeObjectTests {
  private func node(_ change: (inout EdgedConfiguration) -> Void = { _ in }) -> Node {
    var configuration = EdgedConfiguration()
    change(&configuration)
    return NodeObject.registration(name: "edge-1", configuration: configuration, architecture: "arm64", status: NodeStatus())
  }

  @Test func hasWhatTheCloudTellsEdgeNodesBy() {
    let node = node()
    #expect(node.metadata.name == "edge-1")
    #expect(
      node.metadata.labels == [
        "node-role.kubernetes.io/edge": "", "node-role.kubernetes.io/agent": "", "kubernetes.io/hostname": "edge-1",
        "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64", "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "arm64",
      ])
    #expect(node.metadata.annotations == ["volumes.kubernetes.io/controller-managed-attach-detach": "true"])
    #expect(node.spec == NodeSpec())
    #expect(node.status?.daemonEndpoints?.kubeletEndpoint?.port == 10350)
  }

  @Test func theConfigurationsLabelsCome() {
    let node = node { $0.nodeLabels = ["site": "north", "kubernetes.io/hostname": "other"] }
    #expect(node.metadata.labels?["site"] == "north")
    #expect(node.metadata.labels?["kubernetes.io/hostname"] == "other")
    #expect(node.metadata.labels?["kubernetes.io/os"] == "linux")
  }

  @Test func taints() {
    let dedicated = KubeletConfiguration.RegisteredTaint(key: "dedicated", value: "edge", effect: .noExecute)
    let unschedulable = KubeletConfiguration.RegisteredTaint(key: "node.kubernetes.io/unschedulable", effect: .noSchedule)
    #expect(
      node { $0.tailoredKubeletConfig.registerWithTaints = [dedicated] }.spec?.taints
        == [Taint(key: "dedicated", value: "edge", effect: "NoExecute")])
    let closed = node { $0.registerSchedulable = false }.spec
    #expect(closed?.unschedulable == true)
    #expect(closed?.taints == [Taint(key: "node.kubernetes.io/unschedulable", effect: "NoSchedule")])
    let both = node { configuration in
      configuration.registerSchedulable = false
      configuration.tailoredKubeletConfig.registerWithTaints = [unschedulable, dedicated]
    }
    #expect(both.spec?.taints?.map(\.key) == ["node.kubernetes.io/unschedulable", "dedicated"])
  }

  @Test func withoutAServerThereIsNoPort() {
    #expect(node { $0.tailoredKubeletConfig.readOnlyPort = 0 }.status?.daemonEndpoints == nil)
  }

  @Test func whatAnExistingNodeLacks() {
    var configuration = EdgedConfiguration()
    configuration.nodeLabels = ["site": "north"]
    var metadata = node().metadata
    metadata.labels?["color"] = "blue"
    func missing() -> (labels: [String: String], annotations: [String: String]) {
      NodeObject.missing(from: metadata, name: "edge-1", configuration: configuration, architecture: "arm64")
    }
    #expect(missing().labels.isEmpty && missing().annotations.isEmpty)
    metadata.labels?["kubernetes.io/arch"] = "amd64"
    metadata.labels?["node-role.kubernetes.io/agent"] = nil
    metadata.annotations = nil
    #expect(missing().labels == ["kubernetes.io/arch": "arm64", "node-role.kubernetes.io/agent": ""])
    #expect(missing().annotations == ["volumes.kubernetes.io/controller-managed-attach-detach": "true"])
  }

  @Test func namesOnTheWire() throws {
    var node = node { $0.registerSchedulable = false }
    node.status?.capacity = NodeFixtures.facts.capacity
    let value = try JSONValue(encoding: node)
    #expect(value["status"]?["daemonEndpoints"]?.jsonText() == #"{"kubeletEndpoint":{"Port":10350}}"#)
    #expect(value["status"]?["capacity"]?["memory"]?.string == "24684096Ki")
    #expect(value["spec"]?["taints"]?.jsonText() == #"[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]"#)
    #expect(try value.decode(Node.self) == node)
  }

  @Test func leaseTimesHaveSixDigits() throws {
    var spec = LeaseSpec()
    spec.renewTime = MicroTime(Timestamp(nanoseconds: 1_700_000_000_000_045_678))
    let value = try JSONValue(encoding: spec)
    #expect(value["renewTime"]?.string == "2023-11-14T22:13:20.000045Z")
    #expect(try value.decode(LeaseSpec.self).renewTime?.time == Timestamp(nanoseconds: 1_700_000_000_000_045_000))
  }
}
