/// What a pod is (core/v1 PodStatus).
public struct PodStatus: Codable, Sendable, Hashable {
  public var observedGeneration: Int64?
  public var phase: PodPhase?
  public var conditions: [PodCondition]?
  public var message: String?
  public var reason: String?
  public var hostIP: String?
  public var hostIPs: [HostIP]?
  public var podIP: String?
  public var podIPs: [PodIP]?
  public var startTime: Timestamp?
  public var initContainerStatuses: [ContainerStatus]?
  public var containerStatuses: [ContainerStatus]?
  public var ephemeralContainerStatuses: [ContainerStatus]?
  public var qosClass: PodQOSClass?
  public init() {}
}

public enum PodPhase: String, Codable, Sendable, Hashable {
  case pending = "Pending"
  case running = "Running"
  case succeeded = "Succeeded"
  case failed = "Failed"
  case unknown = "Unknown"

  /// Succeeded and Failed are never left again.
  public var isTerminal: Bool { self == .succeeded || self == .failed }
}

public enum PodQOSClass: String, Codable, Sendable, Hashable {
  case guaranteed = "Guaranteed"
  case burstable = "Burstable"
  case bestEffort = "BestEffort"
}

public struct PodCondition: Codable, Sendable, Hashable {
  public var type: String
  /// `True`, `False` or `Unknown`.
  public var status: String
  public var observedGeneration: Int64?
  public var lastProbeTime: Timestamp?
  public var lastTransitionTime: Timestamp?
  public var reason: String?
  public var message: String?
  public init(type: String, status: Bool, reason: String? = nil, message: String? = nil) {
    self.type = type
    self.status = status ? "True" : "False"
    self.reason = reason
    self.message = message
  }
}

public struct HostIP: Codable, Sendable, Hashable {
  public var ip: String
  public init(ip: String) { self.ip = ip }
}

public struct PodIP: Codable, Sendable, Hashable {
  public var ip: String
  public init(ip: String) { self.ip = ip }
}

public struct ContainerStatus: Codable, Sendable, Hashable {
  public var name: String
  public var state: ContainerState?
  public var lastState: ContainerState?
  public var ready: Bool
  public var restartCount: Int32
  public var image: String
  public var imageID: String
  /// `containerd://<id>` or `docker://<id>`.
  public var containerID: String?
  public var started: Bool?
  public var allocatedResources: [String: Quantity]?
  public var resources: ResourceRequirements?
  public var volumeMounts: [VolumeMountStatus]?
  public var user: ContainerUser?
  public init(name: String, image: String) {
    self.name = name
    self.ready = false
    self.restartCount = 0
    self.image = image
    self.imageID = ""
  }
}

/// Exactly one of the three is set.
public struct ContainerState: Codable, Sendable, Hashable {
  public var waiting: ContainerStateWaiting?
  public var running: ContainerStateRunning?
  public var terminated: ContainerStateTerminated?
  public init(
    waiting: ContainerStateWaiting? = nil, running: ContainerStateRunning? = nil, terminated: ContainerStateTerminated? = nil
  ) {
    self.waiting = waiting
    self.running = running
    self.terminated = terminated
  }
}

public struct ContainerStateWaiting: Codable, Sendable, Hashable {
  public var reason: String?
  public var message: String?
  public init(reason: String? = nil, message: String? = nil) {
    self.reason = reason
    self.message = message
  }
}

public struct ContainerStateRunning: Codable, Sendable, Hashable {
  public var startedAt: Timestamp?
  public init(startedAt: Timestamp? = nil) { self.startedAt = startedAt }
}

public struct ContainerStateTerminated: Codable, Sendable, Hashable {
  public var exitCode: Int32
  public var signal: Int32?
  public var reason: String?
  public var message: String?
  public var startedAt: Timestamp?
  public var finishedAt: Timestamp?
  public var containerID: String?
  public init(
    exitCode: Int32, reason: String? = nil, message: String? = nil, startedAt: Timestamp? = nil, finishedAt: Timestamp? = nil,
    containerID: String? = nil
  ) {
    self.exitCode = exitCode
    self.reason = reason
    self.message = message
    self.startedAt = startedAt
    self.finishedAt = finishedAt
    self.containerID = containerID
  }
}

public struct VolumeMountStatus: Codable, Sendable, Hashable {
  public var name: String
  public var mountPath: String
  public var readOnly: Bool?
  public var recursiveReadOnly: String?
  public init(name: String, mountPath: String, readOnly: Bool? = nil, recursiveReadOnly: String? = nil) {
    self.name = name
    self.mountPath = mountPath
    self.readOnly = readOnly
    self.recursiveReadOnly = recursiveReadOnly
  }
}

public struct ContainerUser: Codable, Sendable, Hashable {
  public var linux: LinuxContainerUser?
  public init(linux: LinuxContainerUser? = nil) { self.linux = linux }
}

public struct LinuxContainerUser: Codable, Sendable, Hashable {
  public var uid: Int64
  public var gid: Int64
  public var supplementalGroups: [Int64]?
  public init(uid: Int64, gid: Int64, supplementalGroups: [Int64]? = nil) {
    self.uid = uid
    self.gid = gid
    self.supplementalGroups = supplementalGroups
  }
}
