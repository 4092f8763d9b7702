import KubernetesAPI
import Runtime

/// What the engine says of one container, running or ended.
struct ContainerRecord: Sendable, Hashable {
  enum State: Sendable, Hashable {
    case created, running, exited, unknown
  }

  var id: String
  var sandboxID: String
  var name: String
  var state: State
  var createdAt: Timestamp
  /// Zero when it never started.
  var startedAt: Timestamp
  /// Zero while it runs.
  var finishedAt: Timestamp
  var exitCode: Int32
  var reason: String
  var message: String
  var image: String
  var imageID: String
  /// Hash of the definition it was made from; "" if another agent made it without one.
  var hash: String
  var restartCount: Int
  var logPath: String
  /// On the host; nil if the container has no termination message file.
  var terminationMessageFile: String?
  var fallsBackToLogs: Bool
  /// Its preStop hook and grace period as of its start, for containers whose pod isn't known any more.
  var annotations: [String: String]
  var resources: CRILinuxContainerResources?
  var user: LinuxContainerUser?

  /// The same container ended: what an exit event says, ahead of the engine's own status.
  func exited(code: Int32, at time: Timestamp, outOfMemory: Bool) -> ContainerRecord {
    var record = self
    record.state = .exited
    record.exitCode = code
    record.finishedAt = time
    record.reason = outOfMemory ? "OOMKilled" : code == 0 ? "Completed" : "Error"
    return record
  }
}

extension ContainerRecord {
  /// Whether it was made as it would be made now.
  func fits(_ container: Container, _ setup: PodSetup) -> Bool {
    sandboxID == setup.sandboxID && (hash.isEmpty || hash == ContainerHash.hash(of: container))
  }

  /// nil if the container isn't part of a pod.
  init?(_ status: CRIContainerStatus, sandboxID: String) {
    guard let name = status.labels[RuntimeLabel.containerName] else { return nil }
    id = status.id
    self.sandboxID = sandboxID
    self.name = name
    state =
      switch status.state {
      case .containerCreated: .created
      case .containerRunning: .running
      case .containerExited: .exited
      default: .unknown
      }
    createdAt = Timestamp(nanoseconds: status.createdAt)
    startedAt = Timestamp(nanoseconds: status.startedAt)
    finishedAt = Timestamp(nanoseconds: status.finishedAt)
    exitCode = status.exitCode
    reason = status.reason
    message = status.message
    image = status.image.userSpecifiedImage.isEmpty ? status.image.image : status.image.userSpecifiedImage
    imageID = status.imageRef
    annotations = status.annotations
    hash = annotations[RuntimeAnnotation.containerHash] ?? ""
    restartCount = annotations[RuntimeAnnotation.restartCount].flatMap { Int($0) } ?? Int(status.metadata.attempt)
    logPath = status.logPath
    let messagePath = annotations[RuntimeAnnotation.terminationMessagePath]
    terminationMessageFile = status.mounts.first { $0.containerPath == messagePath }?.hostPath
    fallsBackToLogs =
      annotations[RuntimeAnnotation.terminationMessagePolicy] == TerminationMessagePolicy.fallbackToLogsOnError.rawValue
    resources = status.hasResources && status.resources.hasLinux ? status.resources.linux : nil
    if status.hasUser, status.user.hasLinux {
      let linux = status.user.linux
      user = LinuxContainerUser(uid: linux.uid, gid: linux.gid, supplementalGroups: linux.supplementalGroups)
    }
  }
}
