/// What a pod should be (core/v1 PodSpec).
public struct PodSpec: Codable, Sendable, Hashable {
  public var containers: [Container]
  public var initContainers: [Container]?
  public var ephemeralContainers: [EphemeralContainer]?
  public var volumes: [Volume]?
  public var restartPolicy: RestartPolicy?
  /// Seconds; the API defaults it to 30.
  public var terminationGracePeriodSeconds: Int64?
  /// Seconds from status.startTime.
  public var activeDeadlineSeconds: Int64?
  public var dnsPolicy: DNSPolicy?
  public var dnsConfig: PodDNSConfig?
  public var nodeName: String?
  public var nodeSelector: [String: String]?
  public var affinity: Affinity?
  public var serviceAccountName: String?
  public var automountServiceAccountToken: Bool?
  public var hostNetwork: Bool?
  public var hostPID: Bool?
  public var hostIPC: Bool?
  public var hostUsers: Bool?
  public var shareProcessNamespace: Bool?
  public var securityContext: PodSecurityContext?
  public var imagePullSecrets: [LocalObjectReference]?
  public var hostname: String?
  public var hostnameOverride: String?
  public var subdomain: String?
  public var setHostnameAsFQDN: Bool?
  public var hostAliases: [HostAlias]?
  public var tolerations: [Toleration]?
  public var priority: Int32?
  public var priorityClassName: String?
  public var readinessGates: [PodReadinessGate]?
  public var runtimeClassName: String?
  public var enableServiceLinks: Bool?
  public var overhead: [String: Quantity]?
  public var resources: ResourceRequirements?
  public var os: PodOS?

  public init(containers: [Container]) { self.containers = containers }
}

/// Whether ended containers start again (core/v1 RestartPolicy). The API defaults a pod's to `Always`.
public enum RestartPolicy: String, Codable, Sendable, Hashable {
  case always = "Always"
  case onFailure = "OnFailure"
  case never = "Never"
}

/// Where a pod's resolv.conf comes from (core/v1 DNSPolicy). The API defaults it to `ClusterFirst`.
public enum DNSPolicy: String, Codable, Sendable, Hashable {
  case clusterFirstWithHostNet = "ClusterFirstWithHostNet"
  case clusterFirst = "ClusterFirst"
  case `default` = "Default"
  case none = "None"
}

public struct PodDNSConfig: Codable, Sendable, Hashable {
  public var nameservers: [String]?
  public var searches: [String]?
  public var options: [PodDNSConfigOption]?
  public init(nameservers: [String]? = nil, searches: [String]? = nil, options: [PodDNSConfigOption]? = nil) {
    self.nameservers = nameservers
    self.searches = searches
    self.options = options
  }
}

public struct PodDNSConfigOption: Codable, Sendable, Hashable {
  public var name: String?
  public var value: String?
  public init(name: String? = nil, value: String? = nil) {
    self.name = name
    self.value = value
  }
}

public struct LocalObjectReference: Codable, Sendable, Hashable {
  public var name: String?
  public init(name: String? = nil) { self.name = name }
}

public struct HostAlias: Codable, Sendable, Hashable {
  public var ip: String
  public var hostnames: [String]?
  public init(ip: String, hostnames: [String]? = nil) {
    self.ip = ip
    self.hostnames = hostnames
  }
}

public struct Toleration: Codable, Sendable, Hashable {
  public var key: String?
  public var `operator`: String?
  public var value: String?
  public var effect: String?
  public var tolerationSeconds: Int64?
  public init(key: String? = nil, operator: String? = nil, value: String? = nil, effect: String? = nil) {
    self.key = key
    self.operator = `operator`
    self.value = value
    self.effect = effect
  }
}

public struct PodReadinessGate: Codable, Sendable, Hashable {
  public var conditionType: String
  public init(conditionType: String) { self.conditionType = conditionType }
}

public struct PodOS: Codable, Sendable, Hashable {
  public var name: String
}
