import KubernetesAPI

/// What a pod refers to: by its volumes, by the environments of all its containers, and for pulling images.
struct PodReferences: Sendable, Hashable {
  private(set) var objects: Set<PodObjects.Reference> = []
  /// Those among the objects that become files.
  private(set) var volumeObjects: Set<PodObjects.Reference> = []
  private(set) var tokens: Set<ServiceAccountTokens.Request> = []

  var isEmpty: Bool { objects.isEmpty && tokens.isEmpty }

  init(_ pod: Pod) {
    for volume in pod.spec.volumes ?? [] { add(volume, of: pod) }
    objects = volumeObjects
    for container in pod.spec.containers + pod.initContainers { add(container) }
    for container in pod.spec.ephemeralContainers ?? [] { add(container.container) }
    for secret in pod.spec.imagePullSecrets ?? [] { add(.secret, secret.name) }
  }

  private mutating func add(_ volume: Volume, of pod: Pod) {
    if let source = volume.configMap { addFiles(.configMap, source.name) }
    if let source = volume.secret { addFiles(.secret, source.secretName) }
    for source in volume.projected?.sources ?? [] {
      if let source = source.configMap { addFiles(.configMap, source.name) }
      if let source = source.secret { addFiles(.secret, source.name) }
      if let source = source.serviceAccountToken { tokens.insert(ServiceAccountTokens.Request(source, of: pod)) }
    }
  }

  private mutating func add(_ container: Container) {
    for source in container.envFrom ?? [] {
      if let reference = source.configMapRef { add(.configMap, reference.name) }
      if let reference = source.secretRef { add(.secret, reference.name) }
    }
    for variable in container.env ?? [] {
      // A value that is given hides where it could come from.
      guard variable.value?.isEmpty != false, let source = variable.valueFrom else { continue }
      if let selector = source.configMapKeyRef { add(.configMap, selector.name) }
      if let selector = source.secretKeyRef { add(.secret, selector.name) }
    }
  }

  private mutating func add(_ kind: PodObjects.Kind, _ name: String?) {
    if let name, !name.isEmpty { objects.insert(.init(kind: kind, name: name)) }
  }

  private mutating func addFiles(_ kind: PodObjects.Kind, _ name: String?) {
    if let name, !name.isEmpty { volumeObjects.insert(.init(kind: kind, name: name)) }
  }
}
