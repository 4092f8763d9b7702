/// Privileges of one container (core/v1 SecurityContext); its fields override the pod's.
public struct SecurityContext: Codable, Sendable, Hashable {
  public var capabilities: Capabilities?
  public var privileged: Bool?
  public var seLinuxOptions: SELinuxOptions?
  public var runAsUser: Int64?
  public var runAsGroup: Int64?
  public var runAsNonRoot: Bool?
  public var readOnlyRootFilesystem: Bool?
  public var allowPrivilegeEscalation: Bool?
  /// `Default` or `Unmasked`.
  public var procMount: String?
  public var seccompProfile: SeccompProfile?
  public var appArmorProfile: AppArmorProfile?
  public init() {}
}

/// Privileges of all containers of a pod (core/v1 PodSecurityContext).
public struct PodSecurityContext: Codable, Sendable, Hashable {
  public var seLinuxOptions: SELinuxOptions?
  public var runAsUser: Int64?
  public var runAsGroup: Int64?
  public var runAsNonRoot: Bool?
  public var supplementalGroups: [Int64]?
  /// `Merge` (default) or `Strict`.
  public var supplementalGroupsPolicy: String?
  public var fsGroup: Int64?
  /// `Always` (default) or `OnRootMismatch`.
  public var fsGroupChangePolicy: String?
  public var sysctls: [Sysctl]?
  public var seccompProfile: SeccompProfile?
  public var appArmorProfile: AppArmorProfile?
  public init() {}
}

public struct Capabilities: Codable, Sendable, Hashable {
  public var add: [String]?
  public var drop: [String]?
  public init(add: [String]? = nil, drop: [String]? = nil) {
    self.add = add
    self.drop = drop
  }
}

public struct SELinuxOptions: Codable, Sendable, Hashable {
  public var user: String?
  public var role: String?
  public var type: String?
  public var level: String?
}

/// `type` is `RuntimeDefault`, `Unconfined` or `Localhost`; the last names a file below `<root>/seccomp`.
public struct SeccompProfile: Codable, Sendable, Hashable {
  public var type: String
  public var localhostProfile: String?
  public init(type: String, localhostProfile: String? = nil) {
    self.type = type
    self.localhostProfile = localhostProfile
  }
}

public struct AppArmorProfile: Codable, Sendable, Hashable {
  public var type: String
  public var localhostProfile: String?
}

public struct Sysctl: Codable, Sendable, Hashable {
  public var name: String
  public var value: String
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}
