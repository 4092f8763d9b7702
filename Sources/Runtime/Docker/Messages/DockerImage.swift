/// The answer to `GET /images/<name>/json`.
struct DockerImage: Decodable, Sendable {
  struct Config: Decodable, Sendable {
    var user: String?
    enum CodingKeys: String, CodingKey { case user = "User" }
  }
  var id: String
  var repoTags: [String]?
  var repoDigests: [String]?
  var size: UInt64
  var config: Config?
  enum CodingKeys: String, CodingKey {
    case id = "Id"
    case repoTags = "RepoTags"
    case repoDigests = "RepoDigests"
    case size = "Size"
    case config = "Config"
  }
}

/// One entry of `GET /images/json`.
struct DockerImageSummary: Decodable, Sendable {
  var id: String
  var repoTags: [String]?
  var repoDigests: [String]?
  var size: UInt64
  enum CodingKeys: String, CodingKey {
    case id = "Id"
    case repoTags = "RepoTags"
    case repoDigests = "RepoDigests"
    case size = "Size"
  }
}

/// One line of the progress of a pull.
struct DockerPullProgress: Decodable, Sendable {
  struct Detail: Decodable, Sendable {
    var message: String?
  }
  var error: String?
  var errorDetail: Detail?

  /// Why the pull failed.
  var failure: String? { errorDetail?.message ?? error }
}

/// The header `X-Registry-Auth`. Holds secrets: never printed.
struct DockerRegistryAuth: Encodable, Sendable {
  var username: String?
  var password: String?
  var serverAddress: String?
  var identityToken: String?
  var registryToken: String?
  enum CodingKeys: String, CodingKey {
    case username
    case password
    case serverAddress = "serveraddress"
    case identityToken = "identitytoken"
    case registryToken = "registrytoken"
  }
}
