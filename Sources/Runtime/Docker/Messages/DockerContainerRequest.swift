/// The body of `POST /containers/create`. What is nil is left to the engine.
struct DockerContainerRequest: Encodable, Hashable, Sendable {
  struct Empty: Codable, Hashable, Sendable {}

  struct Healthcheck: Encodable, Hashable, Sendable {
    var test: [String]
    enum CodingKeys: String, CodingKey { case test = "Test" }
    /// The image's own health check is off: probes are Kubernetes' business.
    static let none = Healthcheck(test: ["NONE"])
  }

  var image = ""
  var entrypoint: [String]?
  var command: [String]?
  var environment: [String]?
  var user: String?
  var workingDirectory: String?
  var hostname: String?
  var labels: [String: String] = [:]
  var exposedPorts: [String: Empty]?
  var tty = false
  var opensStdin = false
  var stdinOnce = false
  var healthcheck = Healthcheck.none
  var host = DockerHostConfig()

  enum CodingKeys: String, CodingKey {
    case image = "Image"
    case entrypoint = "Entrypoint"
    case command = "Cmd"
    case environment = "Env"
    case user = "User"
    case workingDirectory = "WorkingDir"
    case hostname = "Hostname"
    case labels = "Labels"
    case exposedPorts = "ExposedPorts"
    case tty = "Tty"
    case opensStdin = "OpenStdin"
    case stdinOnce = "StdinOnce"
    case healthcheck = "Healthcheck"
    case host = "HostConfig"
  }
}

/// The answer to `POST /containers/create` and `POST /containers/<id>/exec`.
struct DockerCreated: Decodable, Sendable {
  var id: String
  enum CodingKeys: String, CodingKey { case id = "Id" }
}
