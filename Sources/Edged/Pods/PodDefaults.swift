import KubernetesAPI

/// Fills in what the API server fills in, for pods that don't come from it.
enum PodDefaults {
  static func apply(to pod: inout Pod) {
    if (pod.metadata.namespace ?? "").isEmpty { pod.metadata.namespace = "default" }
    var spec = pod.spec
    spec.restartPolicy = spec.restartPolicy ?? .always
    spec.terminationGracePeriodSeconds = spec.terminationGracePeriodSeconds ?? 30
    spec.dnsPolicy = spec.dnsPolicy ?? .clusterFirst
    spec.securityContext = spec.securityContext ?? PodSecurityContext()
    spec.enableServiceLinks = spec.enableServiceLinks ?? true
    spec.resources = spec.resources.map(withRequests)
    spec.volumes = spec.volumes?.map(withDefaults)
    let usesHostNetwork = spec.hostNetwork == true
    spec.containers = spec.containers.map { withDefaults($0, hostNetwork: usesHostNetwork) }
    spec.initContainers = spec.initContainers?.map { withDefaults($0, hostNetwork: usesHostNetwork) }
    pod.spec = spec
  }

  /// `latest`, said or meant, is pulled at each start; other tags, and digests, only when missing.
  static func pullPolicy(of image: String) -> PullPolicy {
    let parts = image.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    let last = parts.first?.split(separator: "/").last ?? ""
    guard let colon = last.lastIndex(of: ":") else { return parts.count == 2 ? .ifNotPresent : .always }
    return last[last.index(after: colon)...] == "latest" && parts.count == 1 ? .always : .ifNotPresent
  }

  private static func withRequests(_ resources: ResourceRequirements) -> ResourceRequirements {
    guard let limits = resources.limits else { return resources }
    return ResourceRequirements(limits: limits, requests: (resources.requests ?? [:]).merging(limits) { request, _ in request })
  }

  private static func withDefaults(_ volume: Volume) -> Volume {
    var volume = volume
    let sources: [Any?] = [
      volume.emptyDir, volume.hostPath, volume.configMap, volume.secret, volume.downwardAPI, volume.projected,
      volume.persistentVolumeClaim,
    ]
    if sources.allSatisfy({ $0 == nil }) { volume.emptyDir = EmptyDirVolumeSource() }
    if volume.hostPath?.type == nil { volume.hostPath?.type = "" }
    if volume.configMap?.defaultMode == nil { volume.configMap?.defaultMode = 0o644 }
    if volume.secret?.defaultMode == nil { volume.secret?.defaultMode = 0o644 }
    if volume.downwardAPI?.defaultMode == nil { volume.downwardAPI?.defaultMode = 0o644 }
    if let items = volume.downwardAPI?.items { volume.downwardAPI?.items = items.map(withDefaults) }
    if volume.projected?.defaultMode == nil { volume.projected?.defaultMode = 0o644 }
    if let sources = volume.projected?.sources { volume.projected?.sources = sources.map(withDefaults) }
    return volume
  }

  private static func withDefaults(_ source: VolumeProjection) -> VolumeProjection {
    var source = source
    if let items = source.downwardAPI?.items { source.downwardAPI?.items = items.map(withDefaults) }
    return source
  }

  private static func withDefaults(_ item: DownwardAPIVolumeFile) -> DownwardAPIVolumeFile {
    var item = item
    if item.fieldRef?.apiVersion == nil { item.fieldRef?.apiVersion = "v1" }
    return item
  }

  private static func withDefaults(_ container: Container, hostNetwork: Bool) -> Container {
    var container = container
    container.imagePullPolicy = container.imagePullPolicy ?? container.image.map(pullPolicy(of:))
    if (container.terminationMessagePath ?? "").isEmpty {
      container.terminationMessagePath = TerminationMessageFile.defaultContainerPath
    }
    container.terminationMessagePolicy = container.terminationMessagePolicy ?? .file
    container.resources = container.resources.map(withRequests)
    container.ports = container.ports?.map { port in
      var port = port
      port.protocol = port.protocol ?? "TCP"
      if hostNetwork, (port.hostPort ?? 0) == 0 { port.hostPort = port.containerPort }
      return port
    }
    container.env = container.env?.map { variable in
      var variable = variable
      if variable.valueFrom?.fieldRef?.apiVersion == nil { variable.valueFrom?.fieldRef?.apiVersion = "v1" }
      return variable
    }
    container.livenessProbe = container.livenessProbe.map(withDefaults)
    container.readinessProbe = container.readinessProbe.map(withDefaults)
    container.startupProbe = container.startupProbe.map(withDefaults)
    if let action = container.lifecycle?.postStart?.httpGet { container.lifecycle?.postStart?.httpGet = withDefaults(action) }
    if let action = container.lifecycle?.preStop?.httpGet { container.lifecycle?.preStop?.httpGet = withDefaults(action) }
    return container
  }

  private static func withDefaults(_ probe: Probe) -> Probe {
    var probe = probe
    func given(_ number: Int32?) -> Int32? { number == 0 ? nil : number }
    probe.timeoutSeconds = given(probe.timeoutSeconds) ?? 1
    probe.periodSeconds = given(probe.periodSeconds) ?? 10
    probe.successThreshold = given(probe.successThreshold) ?? 1
    probe.failureThreshold = given(probe.failureThreshold) ?? 3
    probe.httpGet = probe.httpGet.map(withDefaults)
    if probe.grpc?.service == nil { probe.grpc?.service = "" }
    return probe
  }

  private static func withDefaults(_ action: HTTPGetAction) -> HTTPGetAction {
    var action = action
    if (action.path ?? "").isEmpty { action.path = "/" }
    if (action.scheme ?? "").isEmpty { action.scheme = "HTTP" }
    return action
  }
}
