/// What the engine says of containers, in CRI's words.
enum DockerStatus {
  /// A container's state and, once it has ended, how.
  struct Life: Hashable, Sendable {
    var state: CRIContainerState
    var startedAt: Int64 = 0
    var finishedAt: Int64 = 0
    var exitCode: Int32 = 0
    var reason = ""
    var message = ""
  }

  static func life(_ state: DockerContainer.State, createdAt: Int64) -> Life {
    let startedAt = DockerTimestamp.nanoseconds(state.startedAt)
    let finishedAt = DockerTimestamp.nanoseconds(state.finishedAt)
    let message = state.error ?? ""
    // A paused container runs as well.
    if state.running { return Life(state: .containerRunning, startedAt: startedAt, message: message) }
    if startedAt == 0, finishedAt == 0 {
      guard state.exitCode != 0 else { return Life(state: .containerCreated, message: message) }
      return Life(
        state: .containerExited, startedAt: createdAt, finishedAt: createdAt, exitCode: state.exitCode, reason: "ContainerCannotRun",
        message: message)
    }
    // A second start failed after a first run: the end still counts.
    let reason =
      switch (state.oomKilled ?? false, state.exitCode) {
      case (true, _): "OOMKilled"
      case (false, 0): "Completed"
      default: "Error"
      }
    return Life(
      // Docker notes the start after the fact: what ends at once has ended before it, by Docker's clock.
      state: .containerExited, startedAt: startedAt, finishedAt: max(startedAt, finishedAt), exitCode: state.exitCode,
      reason: reason, message: message)
  }

  /// Of the one word that a list has.
  static func state(_ word: String) -> CRIContainerState {
    switch word {
    case "created": .containerCreated
    case "running", "paused", "restarting": .containerRunning
    case "exited", "dead", "removing": .containerExited
    default: .containerUnknown
    }
  }

  // MARK: Sandboxes

  static func sandbox(_ container: DockerContainer) -> CRIPodSandboxStatus {
    let (labels, annotations) = DockerLabel.decode(container.labels)
    let addresses = container.addresses
    return .with {
      $0.id = container.id
      $0.metadata = sandboxMetadata(DockerName(parsing: container.name), labels)
      $0.state = container.state.running ? .sandboxReady : .sandboxNotready
      $0.createdAt = DockerTimestamp.nanoseconds(container.created)
      $0.labels = labels
      $0.annotations = annotations
      $0.network = .with {
        $0.ip = addresses.first ?? ""
        $0.additionalIps = addresses.dropFirst().map { address in .with { $0.ip = address } }
      }
      $0.linux.namespaces.options = .with {
        $0.network = container.host.networkMode == "host" ? .node : .pod
        $0.ipc = container.host.ipcMode == "host" ? .node : .pod
        // Whether the pod shares its processes shows in its containers only.
        $0.pid = container.host.pidMode == "host" ? .node : .container
      }
    }
  }

  static func sandbox(_ summary: DockerContainerSummary) -> CRIPodSandbox {
    let (labels, annotations) = DockerLabel.decode(summary.labels ?? [:])
    return .with {
      $0.id = summary.id
      $0.metadata = sandboxMetadata(summary.name, labels)
      $0.state = state(summary.state) == .containerRunning ? .sandboxReady : .sandboxNotready
      $0.createdAt = summary.created * 1_000_000_000
      $0.labels = labels
      $0.annotations = annotations
    }
  }

  /// Labels stand in for a name that isn't ours.
  private static func sandboxMetadata(_ name: DockerName?, _ labels: [String: String]) -> CRIPodSandboxMetadata {
    if let name { return name.sandboxMetadata }
    return .with {
      $0.name = labels[RuntimeLabel.podName] ?? ""
      $0.namespace = labels[RuntimeLabel.podNamespace] ?? ""
      $0.uid = labels[RuntimeLabel.podUID] ?? ""
    }
  }

  // MARK: Containers

  /// - Parameter image: nil when it has been removed.
  static func container(_ container: DockerContainer, image: DockerImage?) -> CRIContainerStatus {
    let (labels, annotations) = DockerLabel.decode(container.labels)
    let createdAt = DockerTimestamp.nanoseconds(container.created)
    let life = life(container.state, createdAt: createdAt)
    return .with {
      $0.id = container.id
      $0.metadata = containerMetadata(DockerName(parsing: container.name), labels)
      $0.state = life.state
      $0.createdAt = createdAt
      $0.startedAt = life.startedAt
      $0.finishedAt = life.finishedAt
      $0.exitCode = life.exitCode
      $0.reason = life.reason
      $0.message = life.message
      $0.image.image = imageName(container.config.image, image)
      $0.imageRef = image.flatMap { DockerImages.digests($0.repoDigests).first } ?? container.image
      $0.imageID = container.image
      $0.labels = labels
      $0.annotations = annotations
      $0.mounts = (container.mounts ?? []).map(mount)
      $0.logPath = container.labels[DockerLabel.logPath] ?? ""
      $0.resources.linux = container.host.resources.cri
    }
  }

  static func container(_ summary: DockerContainerSummary) -> CRIContainer {
    let (labels, annotations) = DockerLabel.decode(summary.labels ?? [:])
    return .with {
      $0.id = summary.id
      $0.podSandboxID = summary.labels?[DockerLabel.sandboxID] ?? ""
      $0.metadata = containerMetadata(summary.name, labels)
      $0.image.image = imageName(summary.image, nil)
      $0.imageRef = summary.imageID
      $0.imageID = summary.imageID
      $0.state = state(summary.state)
      $0.createdAt = summary.created * 1_000_000_000
      $0.labels = labels
      $0.annotations = annotations
    }
  }

  private static func containerMetadata(_ name: DockerName?, _ labels: [String: String]) -> CRIContainerMetadata {
    if let name { return name.containerMetadata }
    return .with { $0.name = labels[RuntimeLabel.containerName] ?? "" }
  }

  /// A container made from an image's id has the image's first name.
  private static func imageName(_ text: String, _ image: DockerImage?) -> String {
    if let reference = DockerImageReference(text) { return reference.text }
    return image.flatMap { DockerImages.tags($0.repoTags).first } ?? text
  }

  private static func mount(_ mount: DockerContainer.Mount) -> CRIMount {
    .with {
      $0.hostPath = mount.source ?? ""
      $0.containerPath = mount.destination
      $0.readonly = mount.isWritable == false
      $0.propagation =
        switch mount.propagation {
        case "rslave", "slave": .propagationHostToContainer
        case "rshared", "shared": .propagationBidirectional
        default: .propagationPrivate
        }
    }
  }
}
