/// A volume of a pod (core/v1 Volume): a name and exactly one source.
public struct Volume: Codable, Sendable, Hashable {
  public var name: String
  public var emptyDir: EmptyDirVolumeSource?
  public var hostPath: HostPathVolumeSource?
  public var configMap: ConfigMapVolumeSource?
  public var secret: SecretVolumeSource?
  public var downwardAPI: DownwardAPIVolumeSource?
  public var projected: ProjectedVolumeSource?
  public var persistentVolumeClaim: PersistentVolumeClaimVolumeSource?
  public init(
    name: String, emptyDir: EmptyDirVolumeSource? = nil, hostPath: HostPathVolumeSource? = nil,
    configMap: ConfigMapVolumeSource? = nil, secret: SecretVolumeSource? = nil, downwardAPI: DownwardAPIVolumeSource? = nil,
    projected: ProjectedVolumeSource? = nil
  ) {
    self.name = name
    self.emptyDir = emptyDir
    self.hostPath = hostPath
    self.configMap = configMap
    self.secret = secret
    self.downwardAPI = downwardAPI
    self.projected = projected
  }
}

public struct EmptyDirVolumeSource: Codable, Sendable, Hashable {
  /// "" (disk), `Memory`, `HugePages` or `HugePages-<size>`.
  public var medium: String?
  public var sizeLimit: Quantity?
  public init(medium: String? = nil, sizeLimit: Quantity? = nil) {
    self.medium = medium
    self.sizeLimit = sizeLimit
  }
}

public struct HostPathVolumeSource: Codable, Sendable, Hashable {
  public var path: String
  /// "", `DirectoryOrCreate`, `Directory`, `FileOrCreate`, `File`, `Socket`, `CharDevice` or `BlockDevice`.
  public var type: String?
  public init(path: String, type: String? = nil) {
    self.path = path
    self.type = type
  }
}

/// A key of a ConfigMap or Secret and the file it becomes.
public struct KeyToPath: Codable, Sendable, Hashable {
  public var key: String
  public var path: String
  /// File mode bits, decimal in JSON.
  public var mode: Int32?
  public init(key: String, path: String, mode: Int32? = nil) {
    self.key = key
    self.path = path
    self.mode = mode
  }
}

public struct ConfigMapVolumeSource: Codable, Sendable, Hashable {
  public var name: String?
  /// The keys that become files; without any, all do, named as they are.
  public var items: [KeyToPath]?
  /// Default 0644.
  public var defaultMode: Int32?
  /// Whether the object or the keys may be missing.
  public var optional: Bool?
  public init(name: String? = nil, items: [KeyToPath]? = nil, defaultMode: Int32? = nil, optional: Bool? = nil) {
    self.name = name
    self.items = items
    self.defaultMode = defaultMode
    self.optional = optional
  }
}

public struct SecretVolumeSource: Codable, Sendable, Hashable {
  public var secretName: String?
  /// The keys that become files; without any, all do, named as they are.
  public var items: [KeyToPath]?
  /// Default 0644.
  public var defaultMode: Int32?
  /// Whether the object or the keys may be missing.
  public var optional: Bool?
  public init(secretName: String? = nil, items: [KeyToPath]? = nil, defaultMode: Int32? = nil, optional: Bool? = nil) {
    self.secretName = secretName
    self.items = items
    self.defaultMode = defaultMode
    self.optional = optional
  }
}

public struct DownwardAPIVolumeSource: Codable, Sendable, Hashable {
  public var items: [DownwardAPIVolumeFile]?
  public var defaultMode: Int32?
  public init(items: [DownwardAPIVolumeFile]? = nil, defaultMode: Int32? = nil) {
    self.items = items
    self.defaultMode = defaultMode
  }
}

public struct DownwardAPIVolumeFile: Codable, Sendable, Hashable {
  public var path: String
  public var fieldRef: ObjectFieldSelector?
  public var resourceFieldRef: ResourceFieldSelector?
  public var mode: Int32?
  public init(path: String, fieldRef: ObjectFieldSelector? = nil, resourceFieldRef: ResourceFieldSelector? = nil, mode: Int32? = nil) {
    self.path = path
    self.fieldRef = fieldRef
    self.resourceFieldRef = resourceFieldRef
    self.mode = mode
  }
}

public struct ProjectedVolumeSource: Codable, Sendable, Hashable {
  public var sources: [VolumeProjection]?
  public var defaultMode: Int32?
  public init(sources: [VolumeProjection]? = nil, defaultMode: Int32? = nil) {
    self.sources = sources
    self.defaultMode = defaultMode
  }
}

/// One source of a projected volume; exactly one field is set.
public struct VolumeProjection: Codable, Sendable, Hashable {
  public var downwardAPI: DownwardAPIVolumeSource?
  public var configMap: ConfigMapProjection?
  public var secret: SecretProjection?
  public var serviceAccountToken: ServiceAccountTokenProjection?
  public init(
    downwardAPI: DownwardAPIVolumeSource? = nil, configMap: ConfigMapProjection? = nil, secret: SecretProjection? = nil,
    serviceAccountToken: ServiceAccountTokenProjection? = nil
  ) {
    self.downwardAPI = downwardAPI
    self.configMap = configMap
    self.secret = secret
    self.serviceAccountToken = serviceAccountToken
  }
}

public struct ConfigMapProjection: Codable, Sendable, Hashable {
  public var name: String?
  public var items: [KeyToPath]?
  public var optional: Bool?
  public init(name: String? = nil, items: [KeyToPath]? = nil, optional: Bool? = nil) {
    self.name = name
    self.items = items
    self.optional = optional
  }
}

public struct SecretProjection: Codable, Sendable, Hashable {
  public var name: String?
  public var items: [KeyToPath]?
  public var optional: Bool?
  public init(name: String? = nil, items: [KeyToPath]? = nil, optional: Bool? = nil) {
    self.name = name
    self.items = items
    self.optional = optional
  }
}

public struct ServiceAccountTokenProjection: Codable, Sendable, Hashable {
  /// Whom the token is for; the API server if absent or empty.
  public var audience: String?
  /// Default 3600.
  public var expirationSeconds: Int64?
  public var path: String
  public init(audience: String? = nil, expirationSeconds: Int64? = nil, path: String) {
    self.audience = audience
    self.expirationSeconds = expirationSeconds
    self.path = path
  }
}

public struct PersistentVolumeClaimVolumeSource: Codable, Sendable, Hashable {
  public var claimName: String
  public var readOnly: Bool?
}
