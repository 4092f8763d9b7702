import KubernetesAPI

extension PodValidation {
  /// Fields that the environment of a container may refer to, beside `metadata.labels['…']` and `metadata.annotations['…']`.
  private static let environmentFields = [
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
    "status.podIP", "status.podIPs",
  ]

  mutating func checkContainers(_ path: FieldPath) {
    if pod.spec.containers.isEmpty { add(path["containers"], "needs at least one container") }
    var names: Set<String> = []
    var hostPorts: [HostPortUse] = []
    let all = [("initContainers", pod.spec.initContainers ?? []), ("containers", pod.spec.containers)]
    for (list, containers) in all {
      for (index, container) in containers.enumerated() {
        let path = path[list][index]
        check(path["name"], container.name, NameRules.label)
        if !container.name.isEmpty, !names.insert(container.name).inserted {
          add(path["name"], "\"\(container.name)\" is the name of another container of this pod")
        }
        let runsOn = list == "containers" || container.restartPolicy == .always
        check(container, path, runsOn: runsOn)
        if runsOn { checkHostPorts(path["ports"], container, &hostPorts) }
      }
    }
    for index in (pod.spec.ephemeralContainers ?? []).indices {
      add(path["ephemeralContainers"][index], "can only be added to a running pod")
    }
  }

  /// - Parameter runsOn: it runs as long as the pod does, unlike an init container.
  private mutating func check(_ container: Container, _ path: FieldPath, runsOn: Bool) {
    let image = container.image ?? ""
    if image.isEmpty {
      add(path["image"], "is missing")
    } else if image.contains(where: \.isWhitespace) {
      add(path["image"], "\"\(image)\" must not contain white space")
    }
    checkPorts(path["ports"], container.ports ?? [])
    checkEnvironment(path["env"], container.env ?? [])
    for (index, source) in (container.envFrom ?? []).enumerated() {
      checkOne(
        path["envFrom"][index], of: [("configMapRef", source.configMapRef != nil), ("secretRef", source.secretRef != nil)], what: "source")
    }
    checkResources(path["resources"], container.resources)
    checkMounts(path["volumeMounts"], container)
    for (index, device) in (container.volumeDevices ?? []).enumerated() {
      add(path["volumeDevices"][index]["name"], "\"\(device.name)\" is no persistentVolumeClaim")
    }
    checkSecurity(of: container, path["securityContext"])
    checkProbes(of: container, path, runsOn: runsOn)
    if container.stdinOnce == true, container.stdin != true { add(path["stdinOnce"], "needs stdin to be true") }
  }

  private mutating func checkPorts(_ path: FieldPath, _ ports: [ContainerPort]) {
    var names: Set<String> = []
    for (index, port) in ports.enumerated() {
      let path = path[index]
      check(path["containerPort"], port.containerPort, in: 1...65535)
      check(path["hostPort"], port.hostPort, in: 0...65535)
      check(path["protocol"], port.protocol, oneOf: ["TCP", "UDP", "SCTP"])
      if let address = port.hostIP, !address.isEmpty { check(path["hostIP"], address, NameRules.address) }
      if let name = port.name, !name.isEmpty {
        check(path["name"], name, NameRules.port)
        if !names.insert(name).inserted { add(path["name"], "\"\(name)\" is the name of another port of this container") }
      }
      if pod.spec.hostNetwork == true, let hostPort = port.hostPort, hostPort != port.containerPort {
        add(path["hostPort"], "\(hostPort) must be the containerPort, \(port.containerPort), where hostNetwork is true")
      }
    }
  }

  private struct HostPortUse {
    var port: Int32
    var address: String
    var `protocol`: String
    var container: String

    func conflicts(with other: HostPortUse) -> Bool {
      port == other.port && `protocol` == other.protocol
        && (address == other.address || [address, other.address].contains { $0.isEmpty || $0 == "0.0.0.0" || $0 == "::" })
    }
  }

  private mutating func checkHostPorts(_ path: FieldPath, _ container: Container, _ taken: inout [HostPortUse]) {
    for (index, port) in (container.ports ?? []).enumerated() {
      guard let number = port.hostPort, number > 0 else { continue }
      let use = HostPortUse(port: number, address: port.hostIP ?? "", protocol: port.protocol ?? "TCP", container: container.name)
      if let other = taken.first(where: use.conflicts) {
        add(path[index]["hostPort"], "\(number)/\(use.protocol) is taken by container \"\(other.container)\"")
      }
      taken.append(use)
    }
  }

  private mutating func checkEnvironment(_ path: FieldPath, _ variables: [EnvVar]) {
    for (index, variable) in variables.enumerated() {
      let path = path[index]
      check(path["name"], variable.name, NameRules.environmentVariable)
      guard let source = variable.valueFrom else { continue }
      if variable.value?.isEmpty == false { add(path["valueFrom"], "must not be set where value is") }
      let sources = [
        ("fieldRef", source.fieldRef != nil), ("resourceFieldRef", source.resourceFieldRef != nil),
        ("configMapKeyRef", source.configMapKeyRef != nil), ("secretKeyRef", source.secretKeyRef != nil),
      ]
      checkOne(path["valueFrom"], of: sources, what: "source")
      if let field = source.fieldRef?.fieldPath, !Self.environmentFields.contains(field), !Self.isSubscript(field) {
        let allowed = (Self.environmentFields + ["metadata.labels['…']", "metadata.annotations['…']"]).joined(separator: ", ")
        add(path["valueFrom"]["fieldRef"]["fieldPath"], "\"\(field)\" is unknown; allowed are \(allowed)")
      }
      if let selector = source.resourceFieldRef { check(path["valueFrom"]["resourceFieldRef"], selector, needsContainer: false) }
    }
  }

  static func isSubscript(_ field: String) -> Bool {
    (field.hasPrefix("metadata.labels['") || field.hasPrefix("metadata.annotations['")) && field.hasSuffix("']")
  }

  mutating func check(_ path: FieldPath, _ selector: ResourceFieldSelector, needsContainer: Bool) {
    let parts = selector.resource.split(separator: ".", maxSplits: 1).map(String.init)
    if parts.count != 2 || !["limits", "requests"].contains(parts[0]) || !Self.isNative(parts[1]) {
      add(
        path["resource"],
        "\"\(selector.resource)\" is unknown; allowed are limits and requests of cpu, memory, ephemeral-storage and hugepages-<size>")
    }
    let containers = (pod.spec.initContainers ?? []) + pod.spec.containers
    let name = selector.containerName ?? ""
    if name.isEmpty ? needsContainer : !containers.contains(where: { $0.name == name }) {
      let names = containers.map(\.name).joined(separator: ", ")
      add(path["containerName"], name.isEmpty ? "is missing" : "\"\(name)\" is no container of this pod; containers are: \(names)")
    }
  }

  private static func isNative(_ resource: String) -> Bool {
    ["cpu", "memory", "ephemeral-storage"].contains(resource) || resource.hasPrefix("hugepages-")
  }

  mutating func checkResources(_ path: FieldPath, _ resources: ResourceRequirements?) {
    guard let resources else { return }
    for (list, amounts) in [("limits", resources.limits ?? [:]), ("requests", resources.requests ?? [:])] {
      for (name, amount) in amounts.sorted(by: { $0.key < $1.key }) {
        let path = path[list][name]
        if name.contains("/") {
          check(path, name, NameRules.qualified)
        } else if !Self.isNative(name) {
          add(path, "\"\(name)\" is unknown; allowed are cpu, memory, ephemeral-storage, hugepages-<size> and names with a domain")
        }
        if amount.milliValue < 0 { add(path, "\(amount) must not be negative") }
      }
    }
    let limits = resources.limits ?? [:]
    for (name, request) in (resources.requests ?? [:]).sorted(by: { $0.key < $1.key }) {
      let path = path["requests"][name]
      let isWhole = name.hasPrefix("hugepages-") || name.contains("/")
      if let limit = limits[name] {
        if request > limit { add(path, "\(request) is more than the limit, \(limit)") }
        if isWhole, request < limit { add(path, "\(request) must be the limit, \(limit): \(name) can't be shared") }
      } else if isWhole {
        add(path, "needs a limit of the same amount: \(name) can't be shared")
      }
    }
    if limits.keys.contains(where: { $0.hasPrefix("hugepages-") }), limits["cpu"] == nil, limits["memory"] == nil,
      resources.requests?["cpu"] == nil, resources.requests?["memory"] == nil
    {
      add(path, "huge pages need cpu or memory beside them")
    }
  }
}
