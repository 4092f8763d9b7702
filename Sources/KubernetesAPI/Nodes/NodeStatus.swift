/// What a node is (core/v1 NodeStatus).
public struct NodeStatus: Codable, Sendable, Hashable {
  /// By resource name: `cpu`, `memory`, `ephemeral-storage`, `pods`, `hugepages-…`, and whatever devices others tell of.
  public var capacity: [String: Quantity]?
  /// What of it pods may have.
  public var allocatable: [String: Quantity]?
  /// No longer used by Kubernetes.
  public var phase: String?
  public var conditions: [NodeCondition]?
  public var addresses: [NodeAddress]?
  public var daemonEndpoints: NodeDaemonEndpoints?
  public var nodeInfo: NodeSystemInfo?
  public var images: [ContainerImage]?
  public var volumesInUse: [String]?
  /// The cloud's to fill.
  public var volumesAttached: [AttachedVolume]?
  public var runtimeHandlers: [NodeRuntimeHandler]?
  public var features: NodeFeatures?
  public init() {}
}

public struct NodeCondition: Codable, Sendable, Hashable {
  /// `Ready`, `MemoryPressure`, `DiskPressure`, `PIDPressure`, or of others.
  public var type: String
  /// `True`, `False` or `Unknown`.
  public var status: String
  public var lastHeartbeatTime: Timestamp?
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

public struct NodeAddress: Codable, Sendable, Hashable {
  /// `InternalIP`, `ExternalIP`, `Hostname`, `InternalDNS` or `ExternalDNS`.
  public var type: String
  public var address: String
  public init(type: String, address: String) {
    self.type = type
    self.address = address
  }
}

public struct NodeDaemonEndpoints: Codable, Sendable, Hashable {
  public var kubeletEndpoint: DaemonEndpoint?
  public init(kubeletEndpoint: DaemonEndpoint? = nil) { self.kubeletEndpoint = kubeletEndpoint }
}

public struct DaemonEndpoint: Codable, Sendable, Hashable {
  public var port: Int32
  public init(port: Int32) { self.port = port }

  enum CodingKeys: String, CodingKey { case port = "Port" }
}

/// The machine and what runs it (core/v1 NodeSystemInfo).
public struct NodeSystemInfo: Codable, Sendable, Hashable {
  public var machineID = ""
  public var systemUUID = ""
  public var bootID = ""
  public var kernelVersion = ""
  public var osImage = ""
  /// `containerd://1.7.2`
  public var containerRuntimeVersion = ""
  public var kubeletVersion = ""
  public var kubeProxyVersion = ""
  public var operatingSystem = ""
  public var architecture = ""
  public init() {}
}

/// An image that a node has.
public struct ContainerImage: Codable, Sendable, Hashable {
  public var names: [String]?
  public var sizeBytes: Int64?
  public init(names: [String], sizeBytes: Int64) {
    self.names = names
    self.sizeBytes = sizeBytes
  }
}

public struct AttachedVolume: Codable, Sendable, Hashable {
  public var name: String
  public var devicePath: String?
  public init(name: String, devicePath: String? = nil) {
    self.name = name
    self.devicePath = devicePath
  }
}

public struct NodeRuntimeHandler: Codable, Sendable, Hashable {
  /// Empty for the default handler.
  public var name: String?
  public var features: Features?

  public struct Features: Codable, Sendable, Hashable {
    public var recursiveReadOnlyMounts: Bool?
    public var userNamespaces: Bool?
    public init() {}
  }

  public init(name: String? = nil, features: Features? = nil) {
    self.name = name
    self.features = features
  }
}

public struct NodeFeatures: Codable, Sendable, Hashable {
  public var supplementalGroupsPolicy: Bool?
  public init(supplementalGroupsPolicy: Bool? = nil) { self.supplementalGroupsPolicy = supplementalGroupsPolicy }
}

extension NodeStatus {
  public func condition(_ type: String) -> NodeCondition? { conditions?.first { $0.type == type } }
}
