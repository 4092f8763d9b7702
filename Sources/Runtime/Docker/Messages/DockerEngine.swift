/// The answer to `GET /version`.
struct DockerVersion: Decodable, Sendable {
  var version: String
  var apiVersion: String
  var minimumAPIVersion: String?
  enum CodingKeys: String, CodingKey {
    case version = "Version"
    case apiVersion = "ApiVersion"
    case minimumAPIVersion = "MinAPIVersion"
  }
}

/// The answer to `GET /info`.
struct DockerInfo: Decodable, Sendable {
  var cgroupDriver: String?
  var rootDirectory: String?
  enum CodingKeys: String, CodingKey {
    case cgroupDriver = "CgroupDriver"
    case rootDirectory = "DockerRootDir"
  }
}

/// The body of a failed request.
struct DockerFailure: Decodable, Sendable {
  var message: String
}

/// One line of `GET /events`.
struct DockerEvent: Decodable, Sendable {
  struct Actor: Decodable, Sendable {
    var id: String
    var attributes: [String: String]?
    enum CodingKeys: String, CodingKey {
      case id = "ID"
      case attributes = "Attributes"
    }
  }
  var action: String
  var actor: Actor
  enum CodingKeys: String, CodingKey {
    case action = "Action"
    case actor = "Actor"
  }
}
