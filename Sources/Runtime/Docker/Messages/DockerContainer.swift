/// The answer to `GET /containers/<id>/json`.
struct DockerContainer: Decodable, Sendable {
  struct State: Decodable, Sendable {
    var status = ""
    var running = false
    var pid: Int32?
    var oomKilled: Bool?
    var exitCode: Int32 = 0
    var error: String?
    var startedAt = ""
    var finishedAt = ""
    enum CodingKeys: String, CodingKey {
      case status = "Status"
      case running = "Running"
      case pid = "Pid"
      case oomKilled = "OOMKilled"
      case exitCode = "ExitCode"
      case error = "Error"
      case startedAt = "StartedAt"
      case finishedAt = "FinishedAt"
    }
  }

  struct Config: Decodable, Sendable {
    var image = ""
    var labels: [String: String]?
    var tty = false
    var user: String?
    enum CodingKeys: String, CodingKey {
      case image = "Image"
      case labels = "Labels"
      case tty = "Tty"
      case user = "User"
    }
  }

  struct Mount: Decodable, Sendable {
    var source: String?
    var destination: String
    var isWritable: Bool?
    var propagation: String?
    enum CodingKeys: String, CodingKey {
      case source = "Source"
      case destination = "Destination"
      case isWritable = "RW"
      case propagation = "Propagation"
    }
  }

  struct Endpoint: Decodable, Sendable {
    var ipv4: String?
    var ipv6: String?
    enum CodingKeys: String, CodingKey {
      case ipv4 = "IPAddress"
      case ipv6 = "GlobalIPv6Address"
    }
  }

  struct Networks: Decodable, Sendable {
    var networks: [String: Endpoint]?
    enum CodingKeys: String, CodingKey { case networks = "Networks" }
  }

  var id: String
  var name: String
  var created: String
  /// The image's id.
  var image: String
  var state: State
  var config: Config
  var host: DockerHostConfig
  var mounts: [Mount]?
  var network: Networks?
  var logPath: String?
  var resolvConfPath: String?

  enum CodingKeys: String, CodingKey {
    case id = "Id"
    case name = "Name"
    case created = "Created"
    case image = "Image"
    case state = "State"
    case config = "Config"
    case host = "HostConfig"
    case mounts = "Mounts"
    case network = "NetworkSettings"
    case logPath = "LogPath"
    case resolvConfPath = "ResolvConfPath"
  }

  var labels: [String: String] { config.labels ?? [:] }
  var kind: DockerLabel.Kind? { labels[DockerLabel.type].flatMap { DockerLabel.Kind(rawValue: $0) } }

  /// IPv4 before IPv6; empty in the host's network.
  var addresses: [String] {
    let endpoints = (network?.networks ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    return (endpoints.map(\.ipv4) + endpoints.map(\.ipv6)).compactMap { $0 }.filter { !$0.isEmpty }
  }
}

/// One entry of `GET /containers/json`.
struct DockerContainerSummary: Decodable, Sendable {
  var id: String
  var names: [String]?
  var image: String
  var imageID: String
  /// Seconds since the epoch.
  var created: Int64
  var state: String
  var labels: [String: String]?

  enum CodingKeys: String, CodingKey {
    case id = "Id"
    case names = "Names"
    case image = "Image"
    case imageID = "ImageID"
    case created = "Created"
    case state = "State"
    case labels = "Labels"
  }

  /// The first of its names that is one of ours: links add others.
  var name: DockerName? { (names ?? []).lazy.compactMap { DockerName(parsing: $0) }.first }
}
