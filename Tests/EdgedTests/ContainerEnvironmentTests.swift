import KubernetesAPI
import Testing

@testable import Edged

struct VariableExpansionTests {
  @Test(arguments: [
    ("$(VAR_A)", "A"), ("___$(VAR_B)___", "___B___"), ("$(VAR_A)$(VAR_B)", "AB"), ("$$(VAR_A)", "$(VAR_A)"), ("$$$(VAR_A)", "$A"),
    ("$$$$(VAR_A)", "$$(VAR_A)"), ("$$", "$"), ("$", "$"), ("a$", "a$"), ("$(", "$("), ("$(VAR_A", "$(VAR_A"), ("$VAR_A", "$VAR_A"),
    ("$(UNKNOWN)", "$(UNKNOWN)"), ("$()", "$()"), ("f$(EMPTY)g", "fg"), ("$(REF)", "$(VAR_A)"), ("$(VAR_A)$$$(VAR_B)", "A$B"),
    ("$((VAR_A))", "$((VAR_A))"), ("über $(VAR_A) $ü", "über A $ü"), ("\n$(VAR_A)\n", "\nA\n"), ("%%$(VAR_A)", "%%A"), ("", ""),
  ])
  func expandsLikeKubernetes(input: String, expected: String) {
    let values = ["VAR_A": "A", "VAR_B": "B", "REF": "$(VAR_A)", "EMPTY": ""]
    #expect(VariableExpansion.expand(input) { values[$0] } == expected)
  }

  @Test func reportsWhatIsMissingOrEmpty() {
    let values = ["A": "a", "EMPTY": ""]
    let result = VariableExpansion.expandReporting("$(A)/$(Z)/$(EMPTY)/$(B)/$(Z)/$$(C)") { values[$0] }
    #expect(result.text == "a/////$(C)")
    #expect(result.missing == ["B", "EMPTY", "Z"])
  }
}

struct EnvironmentBuilderTests {
  private let node = NodeFacts(
    name: "edge-1", hostIPs: ["192.0.2.7", "2001:db8::7"], capacity: [:],
    allocatable: ["cpu": Quantity(value: 4), "memory": Quantity(value: 1 << 30), "hugepages-2Mi": Quantity(value: 4 << 20)])

  private func build(
    _ container: String, services: ContainerEnvironment = ContainerEnvironment(), objects: PodObjects = PodObjects()
  ) throws -> [String] {
    let pod = try Pod.yaml(
      """
      serviceAccountName: default
      containers:
      - name: main
      \(container.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n"))
      - name: other
        resources: {limits: {memory: 64Mi}}
      """, labels: ["app": "x"], annotations: ["note": "n"])
    let builder = EnvironmentBuilder(
      downward: DownwardAPI(pod: pod, node: node, podIPs: ["10.0.0.5", "fd00::5"]), objects: objects, services: services)
    return try builder.build(pod.spec.containers[0]).variables.map { "\($0.name)=\($0.value)" }
  }

  @Test func laterDefinitionsSeeEarlierOnesAndReplaceThem() throws {
    let variables = try build(
      """
      env:
      - {name: A, value: a}
      - {name: B, value: "$(A)b $(C) $(SVC)"}
      - {name: C, value: c}
      - {name: A, value: "$(A)$(A)"}
      - {name: E}
      """, services: ContainerEnvironment([("SVC", "10.0.0.1"), ("A", "service")]))
    #expect(variables == ["A=aa", "B=ab $(C) 10.0.0.1", "C=c", "E=", "SVC=10.0.0.1"])
  }

  @Test(arguments: [
    ("metadata.name", "web"), ("metadata.namespace", "shop"), ("metadata.uid", "u-1"), ("metadata.labels['app']", "x"),
    ("metadata.annotations['note']", "n"), ("metadata.labels['none']", ""), ("spec.nodeName", "edge-1"),
    ("spec.serviceAccountName", "default"), ("status.hostIP", "192.0.2.7"), ("status.hostIPs", "192.0.2.7,2001:db8::7"),
    ("status.podIP", "10.0.0.5"), ("status.podIPs", "10.0.0.5,fd00::5"),
  ])
  func fields(path: String, expected: String) throws {
    #expect(try build("env: [{name: F, valueFrom: {fieldRef: {fieldPath: \"\(path)\"}}}]") == ["F=\(expected)"])
  }

  @Test(arguments: [
    ("resource: limits.cpu", "1"), ("resource: limits.cpu, divisor: 1m", "500"), ("resource: requests.cpu, divisor: 1m", "250"),
    ("resource: limits.memory", "1073741824"), ("resource: limits.memory, divisor: 1Mi", "1024"),
    ("resource: requests.memory", "0"), ("resource: limits.memory, containerName: other, divisor: 1Mi", "64"),
    ("resource: requests.memory, containerName: other, divisor: 1Mi", "64"), ("resource: limits.hugepages-2Mi", "0"),
  ])
  func resources(reference: String, expected: String) throws {
    let variables = try build(
      """
      resources: {requests: {cpu: 250m}, limits: {cpu: 500m}}
      env: [{name: R, valueFrom: {resourceFieldRef: {\(reference)}}}]
      """)
    #expect(variables == ["R=\(expected)"])
  }

  @Test(arguments: [
    ("envFrom: [{configMapRef: {name: settings}}]", "configmap \"settings\" not found"),
    ("envFrom: [{secretRef: {name: keys}}]", "secret \"keys\" not found"),
    ("env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: k}}}]", "configmap \"settings\" not found"),
    ("env: [{name: A, valueFrom: {secretKeyRef: {name: keys, key: k}}}]", "secret \"keys\" not found"),
    ("env: [{name: A, valueFrom: {configMapKeyRef: {name: present, key: k}}}]", "couldn't find key k in ConfigMap shop/present"),
    ("env: [{name: A, valueFrom: {secretKeyRef: {name: present, key: k}}}]", "couldn't find key k in Secret shop/present"),
    ("env: [{name: A, valueFrom: {resourceFieldRef: {containerName: nobody, resource: limits.cpu}}}]", "container nobody not found"),
  ])
  func whatIsMissing(container: String, message: String) throws {
    let objects = PodObjects(configMaps: ["present": ["a": "1"]], secrets: ["present": ["a": [0x31]]])
    let error = #expect(throws: ContainerConfigError.self) { try build(container, objects: objects) }
    #expect(error?.description == message)
  }

  @Test(arguments: [
    "envFrom: [{configMapRef: {name: none, optional: true}}]", "envFrom: [{secretRef: {name: none, optional: true}}]",
    "env: [{name: A, valueFrom: {configMapKeyRef: {name: none, key: k, optional: true}}}]",
    "env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: k, optional: true}}}]",
    "env: [{name: A, valueFrom: {configMapKeyRef: {name: present, key: k, optional: true}}}]",
  ])
  func whatMayBeMissingIsLeftOut(container: String) throws {
    #expect(try build(container, objects: PodObjects(configMaps: ["present": [:]])) == [])
  }

  @Test func objectsAreTakenWholeOrByKey() throws {
    let objects = PodObjects(configMaps: ["settings": ["b": "2", "a": "1"]], secrets: ["keys": ["token": Array("s3cret".utf8)]])
    let variables = try build(
      """
      envFrom:
      - {prefix: P_, configMapRef: {name: settings}}
      - {secretRef: {name: keys}}
      env:
      - {name: P_a, value: "own $(P_b)"}
      - {name: T, valueFrom: {secretKeyRef: {name: keys, key: token}}}
      """, objects: objects)
    #expect(variables == ["P_a=own 2", "P_b=2", "token=s3cret", "T=s3cret"])
    #expect(!"\(objects)".contains("s3cret"))
    #expect(!String(reflecting: ContainerEnvironment([("T", "s3cret")])).contains("s3cret"))
    var dumped = ""
    dump(ContainerEnvironment([("T", "s3cret")]), to: &dumped)
    #expect(dumped.contains("T") && !dumped.contains("s3cret"))
  }
}
