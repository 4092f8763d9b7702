/// A check of a container (core/v1 Probe).
public struct Probe: Codable, Sendable, Hashable {
  public var exec: ExecAction?
  public var httpGet: HTTPGetAction?
  public var tcpSocket: TCPSocketAction?
  public var grpc: GRPCAction?
  /// Seconds after the container's start; default 0.
  public var initialDelaySeconds: Int32?
  /// Seconds; default 1.
  public var timeoutSeconds: Int32?
  /// Seconds; default 10.
  public var periodSeconds: Int32?
  /// Successes in a row until it counts; default 1.
  public var successThreshold: Int32?
  /// Failures in a row until it counts; default 3.
  public var failureThreshold: Int32?
  /// Seconds; overrides the pod's when this probe kills the container.
  public var terminationGracePeriodSeconds: Int64?

  public init(exec: ExecAction? = nil, httpGet: HTTPGetAction? = nil, tcpSocket: TCPSocketAction? = nil, grpc: GRPCAction? = nil) {
    self.exec = exec
    self.httpGet = httpGet
    self.tcpSocket = tcpSocket
    self.grpc = grpc
  }
}

public struct ExecAction: Codable, Sendable, Hashable {
  public var command: [String]?
  public init(command: [String]? = nil) { self.command = command }
}

public struct HTTPGetAction: Codable, Sendable, Hashable {
  public var path: String?
  public var port: IntOrString
  /// Default: the pod's IP.
  public var host: String?
  /// `HTTP` (default) or `HTTPS`.
  public var scheme: String?
  public var httpHeaders: [HTTPHeader]?
  public init(path: String? = nil, port: IntOrString, host: String? = nil, scheme: String? = nil, httpHeaders: [HTTPHeader]? = nil) {
    self.path = path
    self.port = port
    self.host = host
    self.scheme = scheme
    self.httpHeaders = httpHeaders
  }
}

public struct HTTPHeader: Codable, Sendable, Hashable {
  public var name: String
  public var value: String
  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

public struct TCPSocketAction: Codable, Sendable, Hashable {
  public var port: IntOrString
  public var host: String?
  public init(port: IntOrString, host: String? = nil) {
    self.port = port
    self.host = host
  }
}

public struct GRPCAction: Codable, Sendable, Hashable {
  public var port: Int32
  public var service: String?
  public init(port: Int32, service: String? = nil) {
    self.port = port
    self.service = service
  }
}

public struct SleepAction: Codable, Sendable, Hashable {
  /// Seconds.
  public var seconds: Int64
  public init(seconds: Int64) { self.seconds = seconds }
}

/// Hooks around a container's life (core/v1 Lifecycle).
public struct Lifecycle: Codable, Sendable, Hashable {
  public var postStart: LifecycleHandler?
  public var preStop: LifecycleHandler?
  public init(postStart: LifecycleHandler? = nil, preStop: LifecycleHandler? = nil) {
    self.postStart = postStart
    self.preStop = preStop
  }
}

public struct LifecycleHandler: Codable, Sendable, Hashable {
  public var exec: ExecAction?
  public var httpGet: HTTPGetAction?
  public var tcpSocket: TCPSocketAction?
  public var sleep: SleepAction?
  public init(exec: ExecAction? = nil, httpGet: HTTPGetAction? = nil, sleep: SleepAction? = nil) {
    self.exec = exec
    self.httpGet = httpGet
    self.sleep = sleep
  }
}
