import Core
import KubernetesAPI
import Logging
import Testing

@testable import Edged

struct AdmissionTests {
  private typealias Fixture = AdmissionFixture

  @Test func takesAnOrdinaryPod() throws {
    #expect(try Fixture.admission().rejection(of: Fixture.pod("a"), beside: []) == nil)
  }

  // MARK: Pressure

  @Test(arguments: [
    (NodePressure(memory: true), "containers: [{name: a}]", "[MemoryPressure]"),
    (NodePressure(memory: true), "containers: [{name: a, resources: {requests: {cpu: 1m}}}]", nil),
    (
      NodePressure(memory: true), "{tolerations: [{key: node.kubernetes.io/memory-pressure, operator: Exists}], containers: [{name: a}]}",
      nil
    ),
    (NodePressure(memory: true), "{priority: 2000000000, containers: [{name: a}]}", nil),
    (NodePressure(memory: true), "{priority: 1999999999, containers: [{name: a}]}", "[MemoryPressure]"),
    (NodePressure(disk: true), "containers: [{name: a, resources: {requests: {cpu: 1m}}}]", "[DiskPressure]"),
    (
      NodePressure(memory: true, disk: true, processIDs: true), "{tolerations: [{operator: Exists}], containers: [{name: a}]}",
      "[MemoryPressure DiskPressure PIDPressure]"
    ),
    (NodePressure(disk: true), "{priority: 2000000000, containers: [{name: a}]}", nil),
  ])
  func pressure(pressure: NodePressure, spec: String, conditions: String?) throws {
    let rejection = try Fixture.admission(pressure: pressure).rejection(of: Fixture.pod("a", spec), beside: [])
    #expect(rejection == conditions.map { AdmissionRejection(reason: "Evicted", message: "The node had condition: \($0). ") })
  }

  @Test func pressureLetsStaticPodsAndThoseUnderWayIn() throws {
    let admission = try Fixture.admission(pressure: NodePressure(disk: true))
    #expect(try admission.rejection(of: Fixture.pod("a", isStatic: true), beside: []) == nil)
    #expect(try admission.rejection(of: Fixture.pod("a"), beside: [], wasAdmitted: true) == nil)
  }

  // MARK: What the node is able to

  @Test(arguments: [
    (
      "{securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}, containers: [{name: a}]}", "SysctlForbidden",
      "forbidden sysctl: \"kernel.msgmax\" not allowlisted"
    ),
    (
      "{os: {name: windows}, containers: [{name: a}]}", "PodOSNotSupported",
      "Failed to admit pod as the OS field doesn't match node OS"
    ),
    (
      "{securityContext: {supplementalGroupsPolicy: Strict}, containers: [{name: a}]}", "SupplementalGroupsPolicyNotSupported",
      "SupplementalGroupsPolicy=Strict is not supported in this node"
    ),
    (
      "{securityContext: {appArmorProfile: {type: RuntimeDefault}}, containers: [{name: a}]}", "AppArmor",
      "Cannot enforce AppArmor: AppArmor is not enabled on the host"
    ),
    (
      "{nodeName: edge-2, containers: [{name: a}]}", "NodeName",
      "Predicate NodeName failed: node(s) didn't match the requested node name"
    ),
    (
      "{nodeSelector: {site: south}, containers: [{name: a}]}", "NodeAffinity",
      "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    ),
    (
      "containers: [{name: a, ports: [{containerPort: 1, hostPort: 80}]}]", "NodePorts",
      "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    ),
    (
      "containers: [{name: a, resources: {requests: {cpu: 2}}}]", "OutOfcpu",
      "Node didn't have enough resource: cpu, requested: 2000, used: 1500, capacity: 3000"
    ),
    // Only the first reason is told.
    (
      "{nodeSelector: {site: south}, containers: [{name: a, resources: {requests: {cpu: 2}}}]}", "OutOfcpu",
      "Node didn't have enough resource: cpu, requested: 2000, used: 1500, capacity: 3000"
    ),
    (
      "{os: {name: windows}, containers: [{name: a, resources: {requests: {cpu: 2}}}]}", "PodOSNotSupported",
      "Failed to admit pod as the OS field doesn't match node OS"
    ),
  ])
  func refusals(spec: String, reason: String, message: String) throws {
    let other = try Fixture.pod(
      "other", "containers: [{name: a, ports: [{containerPort: 9, hostPort: 80}], resources: {requests: {cpu: 1500m}}}]")
    let admission = try Fixture.admission(hostHasAppArmor: false, engineSupportsGroupsPolicy: false)
    let rejection = admission.rejection(of: try Fixture.pod("a", spec), beside: [other])
    #expect(rejection == AdmissionRejection(reason: reason, message: message))
  }

  @Test func aLabelForAnotherSystem() throws {
    let rejection = try Fixture.admission().rejection(of: Fixture.pod("a", labels: ["kubernetes.io/os": "windows"]), beside: [])
    #expect(
      rejection
        == AdmissionRejection(
          reason: "PodOSSelectorNodeLabelDoesNotMatch",
          message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"))
    #expect(try Fixture.admission().rejection(of: Fixture.pod("a", labels: ["kubernetes.io/os": "linux"]), beside: []) == nil)
  }

  @Test func whatIsAskedAtThePlacementIsNotAskedAgain() throws {
    let admission = try Fixture.admission(["cpu": "1", "pods": "0"], taints: [Taint(key: "out", effect: "NoExecute")])
    let pod = try Fixture.pod("a", "{nodeSelector: {site: south}, containers: [{name: a, resources: {requests: {cpu: 2}}}]}")
    #expect(admission.rejection(of: pod, beside: [], wasAdmitted: true) == nil)
    let forbidden = try Fixture.pod("a", "{os: {name: windows}, containers: [{name: a}]}")
    #expect(admission.rejection(of: forbidden, beside: [], wasAdmitted: true)?.reason == "PodOSNotSupported")
  }

  // MARK: Taints

  @Test(arguments: [
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[]", false), (Taint(key: "out", value: "x", effect: "NoSchedule"), "[]", true),
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[{key: out, value: x}]", true),
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[{key: out, operator: Equal, value: x, effect: NoExecute}]", true),
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[{key: out, value: z}]", false),
    (Taint(key: "out", effect: "NoExecute"), "[{key: out}]", true),
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[{key: out, operator: Exists, effect: NoSchedule}]", false),
    (Taint(key: "out", value: "x", effect: "NoExecute"), "[{key: in, operator: Exists}, {operator: Exists, tolerationSeconds: 3}]", true),
  ])
  func taints(taint: Taint, tolerations: String, isTaken: Bool) throws {
    let admission = try Fixture.admission(taints: [Taint(key: "soft", effect: "PreferNoSchedule"), taint])
    let pod = try Fixture.pod("a", "{tolerations: \(tolerations), containers: [{name: a}]}")
    let refused = AdmissionRejection(
      reason: "TaintToleration", message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate")
    #expect(admission.rejection(of: pod, beside: []) == (isTaken ? nil : refused))
    #expect(try admission.rejection(of: Fixture.pod("a", isStatic: true), beside: []) == nil)
  }

  // MARK: Resources

  @Test(arguments: [
    ("{cpu: 2500m}", nil), ("{cpu: 2501m}", "cpu, requested: 2501, used: 500, capacity: 3000"),
    ("{memory: 512Mi}", nil), ("{memory: 1Gi}", "memory, requested: 1073741824, used: 536870912, capacity: 1073741824"),
    ("{ephemeral-storage: 11Gi}", "ephemeral-storage, requested: 11811160064, used: 0, capacity: 10737418240"),
    ("{hugepages-2Mi: 4Mi}", nil), ("{hugepages-2Mi: 6Mi}", "hugepages-2Mi, requested: 6291456, used: 0, capacity: 4194304"),
    ("{hugepages-1Gi: 1Gi}", "hugepages-1Gi, requested: 1073741824, used: 0, capacity: 0"),
    ("{example.com/gpu: 2}", "example.com/gpu, requested: 2, used: 1, capacity: 2"), ("{example.com/gpu: 1}", nil),
    ("{example.com/unknown: 100}", nil), ("{cpu: 0, memory: 2Gi}", "memory, requested: 2147483648, used: 536870912, capacity: 1073741824"),
    ("{memory: 2Gi, cpu: 4}", "cpu, requested: 4000, used: 500, capacity: 3000"),
    ("{cpu: 9E, memory: 9E}", "cpu, requested: 9223372036854775807, used: 500, capacity: 3000"),
  ])
  func resources(requests: String, lack: String?) throws {
    let other = try Fixture.pod(
      "other", "containers: [{name: a, resources: {requests: {cpu: 500m, memory: 512Mi, example.com/gpu: 1, example.com/unknown: 1}}}]")
    let pod = try Fixture.pod("a", "containers: [{name: a, resources: {requests: \(requests)}}]")
    let rejection = try Fixture.admission(devices: ["example.com/gpu": "2"]).rejection(of: pod, beside: [other])
    #expect(
      rejection
        == lack.map {
          AdmissionRejection(
            reason: "OutOf\($0.prefix { $0 != "," })", message: "Node didn't have enough resource: \($0)")
        })
  }

  @Test func podsAreCounted() throws {
    let admission = try Fixture.admission()
    let others = try (1...3).map { try Fixture.pod("other-\($0)") }
    #expect(try admission.rejection(of: Fixture.pod("a"), beside: Array(others.dropLast())) == nil)
    let rejection = try admission.rejection(of: Fixture.pod("a", cpu: "9"), beside: others)
    #expect(
      rejection
        == AdmissionRejection(reason: "OutOfpods", message: "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3"))
  }

  @Test(arguments: [
    "{initContainers: [{name: i, resources: {requests: {cpu: 4}}}], containers: [{name: a, resources: {requests: {cpu: 1}}}]}",
    """
    initContainers: [{name: s, restartPolicy: Always, resources: {requests: {cpu: 2}}}]
    containers: [{name: a, resources: {requests: {cpu: 2}}}]
    """,
    "{overhead: {cpu: 3}, containers: [{name: a, resources: {requests: {cpu: 1}}}]}",
    "{resources: {requests: {cpu: 4}}, containers: [{name: a}]}", "containers: [{name: a, resources: {limits: {cpu: 4}}}]",
  ])
  func thePodAsAWholeCounts(spec: String) throws {
    let rejection = try Fixture.admission().rejection(of: Fixture.pod("a", spec), beside: [])
    #expect(rejection?.message == "Node didn't have enough resource: cpu, requested: 4000, used: 0, capacity: 3000")
  }

  @Test func aCriticalPodHearsFirstOfWhatNobodysEndCures() throws {
    let spec = "{priority: 2000000000, nodeSelector: {site: south}, containers: [{name: a, resources: {requests: {cpu: 4}}}]}"
    #expect(try Fixture.admission().rejection(of: Fixture.pod("a", spec), beside: [])?.reason == "NodeAffinity")
    let lacking = try Fixture.admission().rejection(of: Fixture.pod("a", cpu: "4", isStatic: true), beside: [])
    #expect(lacking?.reason == "OutOfcpu")
    #expect(lacking?.shortfalls == [ResourceShortfall(resource: "cpu", requested: 4000, used: 0, capacity: 3000)])
    #expect(lacking?.shortfalls.first?.missing == 1000)
  }

  // MARK: Affinity

  /// The node is `edge-1` with the labels `site: north` and `floor: 3`.
  @Test(arguments: [
    ("[{matchExpressions: [{key: site, operator: In, values: [south, north]}]}]", true),
    ("[{matchExpressions: [{key: site, operator: In, values: [south]}]}]", false),
    ("[{matchExpressions: [{key: none, operator: In, values: [north]}]}]", false),
    ("[{matchExpressions: [{key: site, operator: NotIn, values: [south]}]}]", true),
    ("[{matchExpressions: [{key: site, operator: NotIn, values: [north]}]}]", false),
    ("[{matchExpressions: [{key: none, operator: NotIn, values: [north]}]}]", true),
    ("[{matchExpressions: [{key: site, operator: Exists}]}]", true), ("[{matchExpressions: [{key: none, operator: Exists}]}]", false),
    ("[{matchExpressions: [{key: none, operator: DoesNotExist}]}]", true),
    ("[{matchExpressions: [{key: site, operator: DoesNotExist}]}]", false),
    ("[{matchExpressions: [{key: floor, operator: Gt, values: ['2']}]}]", true),
    ("[{matchExpressions: [{key: floor, operator: Gt, values: ['3']}]}]", false),
    ("[{matchExpressions: [{key: floor, operator: Lt, values: ['4']}]}]", true),
    ("[{matchExpressions: [{key: floor, operator: Lt, values: ['3']}]}]", false),
    ("[{matchExpressions: [{key: site, operator: Gt, values: ['2']}]}]", false),
    ("[{matchExpressions: [{key: floor, operator: Lt, values: ['4', '5']}]}]", false),
    ("[{matchExpressions: [{key: site, operator: Near, values: [north]}]}]", false),
    ("[{matchFields: [{key: metadata.name, operator: In, values: [edge-1]}]}]", true),
    ("[{matchFields: [{key: metadata.name, operator: NotIn, values: [edge-1]}]}]", false),
    ("[{matchFields: [{key: metadata.name, operator: NotIn, values: [edge-2]}]}]", true),
    ("[{matchFields: [{key: metadata.uid, operator: In, values: [edge-1]}]}]", false),
    // All requirements of a term, any of the terms.
    (
      "[{matchFields: [{key: metadata.name, operator: In, values: [edge-1]}], matchExpressions: [{key: none, operator: Exists}]}]", false
    ),
    ("[{matchExpressions: [{key: site, operator: Exists}, {key: floor, operator: Exists}]}]", true),
    ("[{matchExpressions: [{key: site, operator: Exists}, {key: none, operator: Exists}]}]", false),
    ("[{matchExpressions: [{key: none, operator: Exists}]}, {matchExpressions: [{key: site, operator: Exists}]}]", true),
    ("[{}]", false), ("[]", false), ("[{}, {matchExpressions: [{key: site, operator: Exists}]}]", true),
  ])
  func affinity(terms: String, isTaken: Bool) throws {
    let required = "requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \(terms)}"
    let pod = try Fixture.pod("a", "{affinity: {nodeAffinity: {\(required)}}, containers: [{name: a}]}")
    let rejection = try Fixture.admission().rejection(of: pod, beside: [])
    #expect(rejection?.reason == (isTaken ? nil : "NodeAffinity"))
  }

  @Test func affinityAndSelectorBothCount() throws {
    let affinity =
      "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
      + "[{matchExpressions: [{key: site, operator: Exists}]}]}}}"
    let admission = try Fixture.admission()
    let both = try Fixture.pod("a", "{nodeSelector: {site: north, floor: '3'}, \(affinity), containers: [{name: a}]}")
    #expect(admission.rejection(of: both, beside: []) == nil)
    let one = try Fixture.pod("a", "{nodeSelector: {site: north, floor: '4'}, \(affinity), containers: [{name: a}]}")
    #expect(admission.rejection(of: one, beside: [])?.reason == "NodeAffinity")
    let preferences = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: []}, podAffinity: {}}"
    #expect(admission.rejection(of: try Fixture.pod("a", "{\(preferences), containers: [{name: a}]}"), beside: []) == nil)
  }
}

struct NodeObjectViewTests {
  private func view() -> NodeObjectView {
    var configuration = EdgedConfiguration()
    configuration.nodeLabels = ["site": "north"]
    configuration.tailoredKubeletConfig.registerWithTaints = [.init(key: "dedicated", value: "edge", effect: .noExecute)]
    return NodeObjectView(
      name: "edge-1",
      registration: NodeObject.registration(name: "edge-1", configuration: configuration, architecture: "arm64", status: NodeStatus()))
  }

  @Test func isTheRegistrationUntilTheNodeIsKnown() async throws {
    let view = view()
    #expect(view.traits.labels["site"] == "north" && view.traits.labels["kubernetes.io/hostname"] == "edge-1")
    #expect(view.traits.taints == [Taint(key: "dedicated", value: "edge", effect: "NoExecute")])
    try await ObjectTestStore.run { store in
      // There is none yet.
      #expect(await view.read(store.client))
      #expect(view.traits.labels["site"] == "north")
      store.fail("null/node/edge-1", MetadataError(.unavailable, "busy"))
      #expect(await !view.read(store.client))
      store.fail("null/node/edge-1", nil)
      store.put(
        "null/node/edge-1",
        """
        {"metadata":{"name":"edge-1","labels":{"site":"south"}},"spec":{"taints":[{"key":"out","effect":"NoExecute"}]},
        "status":{"allocatable":{"cpu":"2","example.com/gpu":"1"}}}
        """)
      #expect(await view.read(store.client))
      #expect(
        view.traits
          == NodeTraits(
            name: "edge-1", labels: ["site": "south"], taints: [Taint(key: "out", effect: "NoExecute")],
            devices: ["example.com/gpu": Quantity(value: 1)]))
    }
  }

  @Test func followsTheNode() async throws {
    let view = view()
    try await ObjectTestStore.run { store in
      store.put("null/node/edge-1", #"{"metadata":{"name":"edge-1","labels":{"site":"south"}}}"#)
      let changes = ObjectWakes()
      let client = store.client
      let follower = Task { await view.run(client) { changes.wake(view.traits.labels["site"] ?? "") } }
      defer { follower.cancel() }
      #expect(await changes.next() == "south")
      // What doesn't decide on pods wakes nobody.
      try await store.publish("null/node/edge-1", #"{"metadata":{"name":"edge-1","labels":{"site":"south"}},"status":{"phase":"x"}}"#)
      try await store.publish("null/node/edge-2", #"{"metadata":{"name":"edge-2","labels":{"site":"east"}}}"#)
      try await store.publish("null/node/edge-1", #"{"metadata":{"name":"edge-1","labels":{"site":"west"}}}"#)
      #expect(await changes.next() == "west")
      follower.cancel()
      await follower.value
    }
  }
}
