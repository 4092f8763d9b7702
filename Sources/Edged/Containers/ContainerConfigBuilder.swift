import FoundationEssentials
import KubernetesAPI
import Runtime

/// Describes a container to the engine.
struct ContainerConfigBuilder: Sendable {
  var paths: NodePaths
  var resources: ResourceRules
  var security: SecurityContextBuilder

  /// What a container is made of besides its definition.
  struct Parts: Sendable {
    /// How often the container was started before.
    var restartCount: Int
    /// What the engine calls the image.
    var imageRef: String
    /// What the engine knows of the image.
    var image: CRIImage?
    var environment: ContainerEnvironment
    /// With those of `/etc/hosts` and the termination message.
    var mounts: [CRIMount] = []
    /// For an ephemeral container, the id of the container whose processes it sees.
    var targetID: String?
    /// Groups that own the pod's volumes.
    var extraGroups: [Int64] = []
  }

  func build(_ pod: Pod, _ container: Container, _ parts: Parts) throws(ContainerConfigError) -> CRIContainerConfig {
    var config = CRIContainerConfig()
    config.metadata.name = container.name
    config.metadata.attempt = UInt32(clamping: parts.restartCount)
    config.image.image = parts.imageRef
    config.image.userSpecifiedImage = container.image ?? ""
    config.command = (container.command ?? []).map(parts.environment.expand)
    config.args = (container.args ?? []).map(parts.environment.expand)
    config.workingDir = container.workingDir ?? ""
    config.envs = parts.environment.variables.map { name, value in
      var variable = CRIKeyValue()
      variable.key = name
      variable.value = value
      return variable
    }
    config.mounts = parts.mounts
    config.labels = pod.identityLabels.merging([RuntimeLabel.containerName: container.name]) { _, own in own }
    config.annotations = annotations(pod, container, parts.restartCount)
    config.logPath = paths.containerLogPath(container: container.name, restartCount: parts.restartCount)
    config.stdin = container.stdin ?? false
    config.stdinOnce = container.stdinOnce ?? false
    config.tty = container.tty ?? false
    config.linux.resources = resources.container(pod, container)
    config.linux.securityContext = try security.container(
      pod, container, user: ImageUser(parts.image), targetID: parts.targetID, extraGroups: parts.extraGroups)
    return config
  }

  /// What has to be known of a container when its definition is gone: how to stop it, and where its last words are.
  private func annotations(_ pod: Pod, _ container: Container, _ restartCount: Int) -> [String: String] {
    var annotations = [
      RuntimeAnnotation.containerHash: ContainerHash.hash(of: container),
      RuntimeAnnotation.restartCount: String(restartCount),
      RuntimeAnnotation.terminationMessagePath: container.terminationMessagePath ?? "/dev/termination-log",
      RuntimeAnnotation.terminationMessagePolicy: (container.terminationMessagePolicy ?? .file).rawValue,
    ]
    annotations[RuntimeAnnotation.podDeletionGracePeriod] = pod.metadata.deletionGracePeriodSeconds.map { String($0) }
    annotations[RuntimeAnnotation.podTerminationGracePeriod] = pod.spec.terminationGracePeriodSeconds.map { String($0) }
    annotations[RuntimeAnnotation.preStopHandler] = container.lifecycle?.preStop.flatMap(json)
    if let ports = container.ports, !ports.isEmpty { annotations[RuntimeAnnotation.containerPorts] = json(ports) }
    return annotations
  }

  private func json(_ value: some Encodable) -> String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) }
  }
}
