/// One container of a pod (core/v1 Container); init containers are of the same type.
public struct Container: Codable, Sendable, Hashable {
  public var name: String
  public var image: String?
  public var command: [String]?
  public var args: [String]?
  public var workingDir: String?
  public var ports: [ContainerPort]?
  public var envFrom: [EnvFromSource]?
  public var env: [EnvVar]?
  public var resources: ResourceRequirements?
  /// `Always` makes an init container a sidecar. Pod-wide policy when absent.
  public var restartPolicy: RestartPolicy?
  public var volumeMounts: [VolumeMount]?
  public var volumeDevices: [VolumeDevice]?
  public var livenessProbe: Probe?
  public var readinessProbe: Probe?
  public var startupProbe: Probe?
  public var lifecycle: Lifecycle?
  /// Default `/dev/termination-log`.
  public var terminationMessagePath: String?
  public var terminationMessagePolicy: TerminationMessagePolicy?
  public var imagePullPolicy: PullPolicy?
  public var securityContext: SecurityContext?
  public var stdin: Bool?
  public var stdinOnce: Bool?
  public var tty: Bool?

  public init(name: String, image: String? = nil, command: [String]? = nil, args: [String]? = nil) {
    self.name = name
    self.image = image
    self.command = command
    self.args = args
  }
}

/// A container added to a running pod for debugging (core/v1 EphemeralContainer): a container and whose PID namespace it joins.
public struct EphemeralContainer: Codable, Sendable, Hashable {
  public var container: Container
  public var targetContainerName: String?

  private enum CodingKeys: String, CodingKey { case targetContainerName }

  public init(container: Container, targetContainerName: String? = nil) {
    self.container = container
    self.targetContainerName = targetContainerName
  }

  public init(from decoder: any Decoder) throws {
    container = try Container(from: decoder)
    targetContainerName = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(String.self, forKey: .targetContainerName)
  }

  public func encode(to encoder: any Encoder) throws {
    try container.encode(to: encoder)
    var keyed = encoder.container(keyedBy: CodingKeys.self)
    try keyed.encodeIfPresent(targetContainerName, forKey: .targetContainerName)
  }
}

public enum PullPolicy: String, Codable, Sendable, Hashable {
  case always = "Always"
  case ifNotPresent = "IfNotPresent"
  case never = "Never"
}

public enum TerminationMessagePolicy: String, Codable, Sendable, Hashable {
  case file = "File"
  case fallbackToLogsOnError = "FallbackToLogsOnError"
}

public struct ContainerPort: Codable, Sendable, Hashable {
  public var name: String?
  public var containerPort: Int32
  public var hostPort: Int32?
  public var hostIP: String?
  /// `TCP` (default), `UDP` or `SCTP`.
  public var `protocol`: String?
  public init(containerPort: Int32, name: String? = nil, hostPort: Int32? = nil, hostIP: String? = nil, protocol: String? = nil) {
    self.containerPort = containerPort
    self.name = name
    self.hostPort = hostPort
    self.hostIP = hostIP
    self.protocol = `protocol`
  }
}

public struct EnvVar: Codable, Sendable, Hashable {
  public var name: String
  public var value: String?
  public var valueFrom: EnvVarSource?
  public init(name: String, value: String? = nil, valueFrom: EnvVarSource? = nil) {
    self.name = name
    self.value = value
    self.valueFrom = valueFrom
  }
}

public struct EnvVarSource: Codable, Sendable, Hashable {
  public var fieldRef: ObjectFieldSelector?
  public var resourceFieldRef: ResourceFieldSelector?
  public var configMapKeyRef: KeySelector?
  public var secretKeyRef: KeySelector?
  public init(
    fieldRef: ObjectFieldSelector? = nil, resourceFieldRef: ResourceFieldSelector? = nil, configMapKeyRef: KeySelector? = nil,
    secretKeyRef: KeySelector? = nil
  ) {
    self.fieldRef = fieldRef
    self.resourceFieldRef = resourceFieldRef
    self.configMapKeyRef = configMapKeyRef
    self.secretKeyRef = secretKeyRef
  }
}

public struct ObjectFieldSelector: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var fieldPath: String
  public init(fieldPath: String) { self.fieldPath = fieldPath }
}

public struct ResourceFieldSelector: Codable, Sendable, Hashable {
  public var containerName: String?
  public var resource: String
  public var divisor: Quantity?
  public init(containerName: String? = nil, resource: String, divisor: Quantity? = nil) {
    self.containerName = containerName
    self.resource = resource
    self.divisor = divisor
  }
}

/// One key of a ConfigMap or a Secret.
public struct KeySelector: Codable, Sendable, Hashable {
  public var name: String?
  public var key: String
  public var optional: Bool?
}

public struct EnvFromSource: Codable, Sendable, Hashable {
  public var prefix: String?
  public var configMapRef: EnvFromReference?
  public var secretRef: EnvFromReference?
}

public struct EnvFromReference: Codable, Sendable, Hashable {
  public var name: String?
  public var optional: Bool?
}

/// Requests and limits by resource name (`cpu`, `memory`, `ephemeral-storage`, `hugepages-2Mi`, …).
public struct ResourceRequirements: Codable, Sendable, Hashable {
  public var limits: [String: Quantity]?
  public var requests: [String: Quantity]?
  public init(limits: [String: Quantity]? = nil, requests: [String: Quantity]? = nil) {
    self.limits = limits
    self.requests = requests
  }
}

public struct VolumeMount: Codable, Sendable, Hashable {
  public var name: String
  public var mountPath: String
  public var readOnly: Bool?
  public var recursiveReadOnly: String?
  public var subPath: String?
  public var subPathExpr: String?
  /// `None` (default), `HostToContainer` or `Bidirectional`.
  public var mountPropagation: String?
  public init(name: String, mountPath: String, readOnly: Bool? = nil, subPath: String? = nil) {
    self.name = name
    self.mountPath = mountPath
    self.readOnly = readOnly
    self.subPath = subPath
  }
}

public struct VolumeDevice: Codable, Sendable, Hashable {
  public var name: String
  public var devicePath: String
}
