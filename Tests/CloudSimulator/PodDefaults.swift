import YAML

/// What an API server adds to a pod that it is given.
enum PodDefaults {
  static let tokenVolumePrefix = "kube-api-access-"

  /// - Parameter tokenVolume: the name for the volume with the service account's token; nil adds none.
  static func apply(to pod: inout JSONValue, tokenVolume: String?) {
    pod.fill("spec", .empty)
    pod.change("spec") { spec in
      mountToken(&spec, tokenVolume)
      spec.changeEach("volumes", fillVolume)
      let hostNetwork = spec["hostNetwork"]?.bool ?? false
      for list in ["initContainers", "containers"] { spec.changeEach(list) { fillContainer(&$0, hostNetwork) } }
      let account = spec["serviceAccountName"]?.string ?? "default"
      for (key, value) in [
        ("restartPolicy", JSONValue.string("Always")), ("terminationGracePeriodSeconds", .number("30")),
        ("dnsPolicy", .string("ClusterFirst")),
        ("serviceAccountName", .string(account)), ("serviceAccount", .string(account)), ("securityContext", .empty),
        ("schedulerName", .string("default-scheduler")), ("tolerations", tolerations), ("priority", .number("0")),
        ("enableServiceLinks", .bool(true)), ("preemptionPolicy", .string("PreemptLowerPriority")),
      ] { spec.fill(key, value) }
    }
    pod.fill("status", .empty)
    let qosClass = qosClass(pod["spec"] ?? .empty)
    pod.change("status") { status in
      status.fill("phase", .string("Pending"))
      status.fill("qosClass", .string(qosClass))
    }
  }

  private static let tolerations = JSONValue.array(
    ["not-ready", "unreachable"].map { key in
      .members(
        ("key", .string("node.kubernetes.io/\(key)")), ("operator", .string("Exists")), ("effect", .string("NoExecute")),
        ("tolerationSeconds", .number("300")))
    })

  // MARK: Volumes

  private static func mountToken(_ spec: inout JSONValue, _ name: String?) {
    guard let name, spec["automountServiceAccountToken"]?.bool != false else { return }
    let path = "/var/run/secrets/kubernetes.io/serviceaccount"
    var volumes = spec["volumes"]?.array ?? []
    let known = volumes.lazy.compactMap { $0["name"]?.string }.first { $0.hasPrefix(tokenVolumePrefix) }
    if known == nil { volumes.append(self.tokenVolume(name)) }
    spec["volumes"] = .array(volumes)
    // Containers may have been replaced since the volume came.
    let mount = JSONValue.members(("name", .string(known ?? name)), ("readOnly", .bool(true)), ("mountPath", .string(path)))
    for list in ["initContainers", "containers"] {
      spec.changeEach(list) { container in
        var mounts = container["volumeMounts"]?.array ?? []
        guard !mounts.contains(where: { $0["mountPath"]?.string == path }) else { return }
        mounts.append(mount)
        container["volumeMounts"] = .array(mounts)
      }
    }
  }

  private static func tokenVolume(_ name: String) -> JSONValue {
    .members(
      ("name", .string(name)),
      (
        "projected",
        .members(
          (
            "sources",
            .array([
              .members(("serviceAccountToken", .members(("expirationSeconds", .number("3607")), ("path", .string("token"))))),
              .members(
                (
                  "configMap",
                  .members(
                    ("name", .string("kube-root-ca.crt")),
                    ("items", .array([.members(("key", .string("ca.crt")), ("path", .string("ca.crt")))])))
                )),
              .members(
                (
                  "downwardAPI",
                  .members(
                    (
                      "items",
                      .array([
                        .members(
                          ("path", .string("namespace")),
                          (
                            "fieldRef",
                            .members(("apiVersion", .string("v1")), ("fieldPath", .string("metadata.namespace")))
                          ))
                      ])
                    ))
                )),
            ])
          ), ("defaultMode", .number("420")))
      ))
  }

  private static func fillVolume(_ volume: inout JSONValue) {
    for kind in ["configMap", "secret", "downwardAPI", "projected"] { volume.change(kind) { $0.fill("defaultMode", .number("420")) } }
    volume.change("hostPath") { $0.fill("type", .string("")) }
    volume.change("downwardAPI") { fillFields(&$0) }
    volume.change("projected") { projected in
      projected.changeEach("sources") { source in
        source.change("downwardAPI") { fillFields(&$0) }
        source.change("serviceAccountToken") { $0.fill("expirationSeconds", .number("3600")) }
      }
    }
  }

  private static func fillFields(_ volume: inout JSONValue) {
    volume.changeEach("items") { item in item.change("fieldRef") { $0.fill("apiVersion", .string("v1")) } }
  }

  // MARK: Containers

  private static func fillContainer(_ container: inout JSONValue, _ hostNetwork: Bool) {
    container.fill("resources", .empty)
    container.change("resources") { resources in
      // What is limited but not requested is requested as far as it is limited.
      guard let limits = resources["limits"]?.object else { return }
      resources.fill("requests", .empty)
      resources.change("requests") { requests in
        for limit in limits { requests.fill(limit.key, limit.value) }
      }
    }
    container.changeEach("env") { variable in
      variable.change("valueFrom") { source in source.change("fieldRef") { $0.fill("apiVersion", .string("v1")) } }
    }
    container.changeEach("ports") { port in
      port.fill("protocol", .string("TCP"))
      if hostNetwork, let number = port["containerPort"] { port.fill("hostPort", number) }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
      container.change(probe) { probe in
        probe.change("httpGet", fillHTTPGet)
        probe.change("grpc") { $0.fill("service", .string("")) }
        for (key, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
          probe.fill(key, .number(String(value)))
        }
      }
    }
    container.change("lifecycle") { lifecycle in
      for hook in ["postStart", "preStop"] { lifecycle.change(hook) { $0.change("httpGet", fillHTTPGet) } }
    }
    container.fill("terminationMessagePath", .string("/dev/termination-log"))
    container.fill("terminationMessagePolicy", .string("File"))
    let image = container["image"]?.string ?? ""
    let name = image.split(separator: "/").last ?? ""
    let isLatest = !image.contains("@") && (!name.contains(":") || name.hasSuffix(":latest"))
    container.fill("imagePullPolicy", .string(isLatest ? "Always" : "IfNotPresent"))
  }

  private static func fillHTTPGet(_ get: inout JSONValue) {
    get.fill("path", .string("/"))
    get.fill("scheme", .string("HTTP"))
  }

  private static func qosClass(_ spec: JSONValue) -> String {
    let containers = (spec["initContainers"]?.array ?? []) + (spec["containers"]?.array ?? [])
    let resources = containers.map { ($0.at("resources", "requests"), $0.at("resources", "limits")) }
    if resources.allSatisfy({ ($0.0?.object ?? []).isEmpty && ($0.1?.object ?? []).isEmpty }) { return "BestEffort" }
    let isGuaranteed = resources.allSatisfy { requests, limits in
      ["cpu", "memory"].allSatisfy { name in
        guard let limit = limits?[name] else { return false }
        return requests?[name] == limit
      }
    }
    return isGuaranteed ? "Guaranteed" : "Burstable"
  }

  // MARK: References

  /// Names of the config maps and secrets by which cloudcore finds the nodes that a change of them is for: those of regular containers,
  /// of volumes, and for pulling images.
  static func references(of pod: JSONValue) -> (configMaps: Set<String>, secrets: Set<String>) {
    var configMaps: Set<String> = []
    var secrets: Set<String> = []
    func add(_ value: JSONValue?, _ key: String = "name", to names: inout Set<String>) {
      if let name = value?[key]?.string { names.insert(name) }
    }
    let spec = pod["spec"] ?? .empty
    for volume in spec["volumes"]?.array ?? [] {
      add(volume["configMap"], to: &configMaps)
      add(volume["secret"], "secretName", to: &secrets)
      for source in volume.at("projected", "sources")?.array ?? [] {
        add(source["configMap"], to: &configMaps)
        add(source["secret"], to: &secrets)
      }
    }
    for container in spec["containers"]?.array ?? [] {
      for variable in container["env"]?.array ?? [] {
        add(variable.at("valueFrom", "configMapKeyRef"), to: &configMaps)
        add(variable.at("valueFrom", "secretKeyRef"), to: &secrets)
      }
      for source in container["envFrom"]?.array ?? [] {
        add(source["configMapRef"], to: &configMaps)
        add(source["secretRef"], to: &secrets)
      }
    }
    for secret in spec["imagePullSecrets"]?.array ?? [] { add(secret, to: &secrets) }
    return (configMaps, secrets)
  }
}
