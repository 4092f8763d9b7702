import Curl

/// Makes the engine behind a socket.
public struct EngineFactory: Sendable {
  private let http: HTTPClient
  private let requestTimeout: Duration
  private let docker: (@Sendable (_ socketPath: String, _ http: HTTPClient) -> any ContainerRuntime)?

  /// - Parameters:
  ///   - http: Belongs to the engine that is made, which shuts it down with itself.
  ///   - requestTimeout: See `CRIRuntime.init`.
  ///   - docker: Makes a Docker engine; nil: Docker is recognised and refused.
  public init(
    http: HTTPClient, requestTimeout: Duration = .seconds(120),
    docker: (@Sendable (_ socketPath: String, _ http: HTTPClient) -> any ContainerRuntime)? = nil
  ) {
    self.http = http
    self.requestTimeout = requestTimeout
    self.docker = docker
  }

  /// nil when engines of that kind can't be used.
  func engine(_ kind: EngineKind, socketPath: String) -> (any ContainerRuntime)? {
    switch kind {
    case .cri: CRIRuntime(socketPath: socketPath, http: http, requestTimeout: requestTimeout)
    case .docker: docker?(socketPath, http)
    }
  }
}
