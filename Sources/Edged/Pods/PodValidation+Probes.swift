import KubernetesAPI

extension PodValidation {
  mutating func checkProbes(of container: Container, _ path: FieldPath, runsOn: Bool) {
    let probes = [
      ("livenessProbe", container.livenessProbe), ("readinessProbe", container.readinessProbe), ("startupProbe", container.startupProbe),
    ]
    for (name, probe) in probes {
      guard let probe else { continue }
      let path = path[name]
      if !runsOn { add(path, "an init container can only have it with restartPolicy Always") }
      check(probe, path, container)
      if name != "readinessProbe", let threshold = probe.successThreshold, threshold != 1 {
        add(path["successThreshold"], "\(threshold) must be 1")
      }
      if let grace = probe.terminationGracePeriodSeconds {
        if name == "readinessProbe" { add(path["terminationGracePeriodSeconds"], "can't be set: a readiness probe ends nothing") }
        check(path["terminationGracePeriodSeconds"], grace, atLeast: 1)
      }
    }
    guard let lifecycle = container.lifecycle else { return }
    if !runsOn { add(path["lifecycle"], "an init container can only have it with restartPolicy Always") }
    for (name, handler) in [("postStart", lifecycle.postStart), ("preStop", lifecycle.preStop)] {
      if let handler { check(handler, path["lifecycle"][name], container) }
    }
  }

  private mutating func check(_ probe: Probe, _ path: FieldPath, _ container: Container) {
    let handlers = [
      ("exec", probe.exec != nil), ("httpGet", probe.httpGet != nil), ("tcpSocket", probe.tcpSocket != nil), ("grpc", probe.grpc != nil),
    ]
    checkOne(path, of: handlers, what: "handler")
    check(path["exec"], probe.exec)
    check(path["httpGet"], probe.httpGet, container)
    if let action = probe.tcpSocket { check(path["tcpSocket"]["port"], action.port, container) }
    if let action = probe.grpc { check(path["grpc"]["port"], action.port, in: 1...65535) }
    check(path["initialDelaySeconds"], probe.initialDelaySeconds, atLeast: 0)
    check(path["timeoutSeconds"], probe.timeoutSeconds, atLeast: 1)
    check(path["periodSeconds"], probe.periodSeconds, atLeast: 1)
    check(path["successThreshold"], probe.successThreshold, atLeast: 1)
    check(path["failureThreshold"], probe.failureThreshold, atLeast: 1)
  }

  private mutating func check(_ handler: LifecycleHandler, _ path: FieldPath, _ container: Container) {
    let handlers = [
      ("exec", handler.exec != nil), ("httpGet", handler.httpGet != nil), ("sleep", handler.sleep != nil),
      ("tcpSocket", handler.tcpSocket != nil),
    ]
    checkOne(path, of: handlers, what: "handler")
    check(path["exec"], handler.exec)
    check(path["httpGet"], handler.httpGet, container)
    if let action = handler.tcpSocket { check(path["tcpSocket"]["port"], action.port, container) }
    if let action = handler.sleep {
      check(path["sleep"]["seconds"], action.seconds, in: 0...max(0, pod.spec.terminationGracePeriodSeconds ?? 30))
    }
  }

  private mutating func check(_ path: FieldPath, _ action: ExecAction?) {
    if let action, (action.command ?? []).isEmpty { add(path["command"], "is missing") }
  }

  private mutating func check(_ path: FieldPath, _ action: HTTPGetAction?, _ container: Container) {
    guard let action else { return }
    check(path["port"], action.port, container)
    check(path["scheme"], action.scheme, oneOf: ["HTTP", "HTTPS"])
    for (index, header) in (action.httpHeaders ?? []).enumerated() {
      let isToken = header.name.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
      if header.name.isEmpty || !isToken { add(path["httpHeaders"][index]["name"], "\"\(header.name)\" is no name of an HTTP header") }
    }
  }

  private mutating func check(_ path: FieldPath, _ port: IntOrString, _ container: Container) {
    switch port {
    case .int(let number): check(path, number, in: 1...65535)
    case .string(let name):
      let names = (container.ports ?? []).compactMap(\.name).filter { !$0.isEmpty }
      guard !names.contains(name) else { return }
      add(
        path,
        "\"\(name)\" names no port of this container; \(names.isEmpty ? "it has none with a name" : "ports are: " + names.joined(separator: ", "))"
      )
    }
  }
}
