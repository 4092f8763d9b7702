import Curl
import FoundationEssentials
import Synchronization

/// Requests to Docker's Engine API over its Unix socket.
final class DockerAPI: Sendable {
  /// How long a request may take, from its start to the last byte of the answer.
  enum Deadline: Sendable, Hashable {
    /// The request timeout, and this much more.
    case usual(plus: Duration = .zero)
    case none
  }

  struct Reply: Sendable {
    var status: Int
    var body: [UInt8]
  }

  /// Older engines lack one-shot stats.
  static let oldestVersion = DockerAPIVersion(major: 1, minor: 41)
  private static let bodyLimit = 64 << 20

  let socketPath: String
  private let http: HTTPClient
  private let requestTimeout: Duration
  private let version = Mutex<DockerAPIVersion?>(nil)

  init(socketPath: String, http: HTTPClient, requestTimeout: Duration) {
    self.socketPath = socketPath
    self.http = http
    self.requestTimeout = requestTimeout
  }

  // MARK: Requests

  /// Sends a request and reads its answer. Statuses from 400 on are thrown.
  @discardableResult
  func send(
    _ operation: String, _ method: String, _ path: String, query: [(String, String)] = [], body: (any Encodable)? = nil,
    headers: [HTTPField] = [], deadline: Deadline = .usual()
  ) async throws -> Reply {
    try await translating(operation) {
      var request = try await request(operation, method, path, query: query, body: body, headers: headers)
      if case .usual(let extra) = deadline { request.timeout = requestTimeout + extra }
      let response = try await http.execute(request)
      let reply = Reply(status: response.status, body: try await response.body.collect(upTo: Self.bodyLimit))
      guard reply.status < 400 else { throw RuntimeError(docker: reply, operation: operation) }
      return reply
    }
  }

  func get<Answer: Decodable>(
    _ operation: String, _ path: String, query: [(String, String)] = [], as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try decode(type, from: try await send(operation, "GET", path, query: query).body, operation: operation)
  }

  func post<Answer: Decodable>(
    _ operation: String, _ path: String, query: [(String, String)] = [], body: any Encodable, as type: Answer.Type = Answer.self
  ) async throws -> Answer {
    try decode(type, from: try await send(operation, "POST", path, query: query, body: body).body, operation: operation)
  }

  /// Sends a request whose answer streams: returns when the answer's head is there. Statuses from 400 on are thrown.
  func stream(
    _ operation: String, _ method: String, _ path: String, query: [(String, String)] = [], body: (any Encodable)? = nil,
    headers: [HTTPField] = []
  ) async throws -> HTTPResponseBody {
    try await translating(operation) {
      var request = try await request(operation, method, path, query: query, body: body, headers: headers)
      request.isolatesConnection = true
      let response = try await http.execute(request)
      guard response.status < 400 else {
        let reply = Reply(status: response.status, body: try await response.body.collect(upTo: 1 << 20))
        throw RuntimeError(docker: reply, operation: operation)
      }
      return response.body
    }
  }

  /// Sends a request that turns its connection into the streams of a process.
  func hijack(
    _ operation: String, _ path: String, query: [(String, String)] = [], body: (any Encodable)? = nil
  ) async throws -> RawConnection {
    try await translating(operation) {
      try await http.upgrade(try await request(operation, "POST", path, query: query, body: body)).connection
    }
  }

  /// Runs `body` with its failures in the words of `RuntimeError`.
  func translating<Value>(
    isolation: isolated (any Actor)? = #isolation, _ operation: String, _ body: () async throws -> Value
  ) async throws -> Value {
    do {
      return try await body()
    } catch let error as HTTPError {
      if case .couldNotConnect = error.kind { version.withLock { $0 = nil } }
      throw RuntimeError(transport: error, operation: operation)
    } catch let error as EncodingError {
      throw RuntimeError(.invalidArgument, operation: operation, message: "the request can't be written as JSON: \(error)")
    }
  }

  func decode<Answer: Decodable>(_ type: Answer.Type, from bytes: [UInt8], operation: String) throws -> Answer {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw RuntimeError(.unknown, operation: operation, message: "the engine's answer can't be read as \(type): \(error)")
    }
  }

  // MARK: Version

  /// Asks the engine for its version, and settles on the API version that the other requests use.
  func askVersion(_ operation: String) async throws -> DockerVersion {
    let answer: DockerVersion = try await translating(operation) {
      var request = HTTPRequest("GET", "http://docker/version", unixSocketPath: socketPath)
      request.timeout = requestTimeout
      let response = try await http.execute(request)
      let reply = Reply(status: response.status, body: try await response.body.collect(upTo: 1 << 20))
      guard reply.status < 400 else { throw RuntimeError(docker: reply, operation: operation) }
      return try decode(DockerVersion.self, from: reply.body, operation: operation)
    }
    guard let newest = DockerAPIVersion(answer.apiVersion), newest >= Self.oldestVersion else {
      throw RuntimeError(
        .unsupported, operation: operation,
        message: "Docker \(answer.version) speaks API \(answer.apiVersion); \(Self.oldestVersion) or newer is needed")
    }
    let least = answer.minimumAPIVersion.flatMap { DockerAPIVersion($0) } ?? Self.oldestVersion
    version.withLock { $0 = max(least, Self.oldestVersion) }
    return answer
  }

  private func request(
    _ operation: String, _ method: String, _ path: String, query: [(String, String)], body: (any Encodable)?, headers: [HTTPField] = []
  ) async throws -> HTTPRequest {
    var settled = version.withLock { $0 }
    if settled == nil {
      _ = try await askVersion(operation)
      settled = version.withLock { $0 }
    }
    let url = "http://docker/v\(settled ?? Self.oldestVersion)\(DockerURL.target(path, query))"
    var request = HTTPRequest(method, url, headers: headers, unixSocketPath: socketPath)
    if let body {
      request.headers.append(HTTPField("Content-Type", "application/json"))
      request.body = .bytes(Array(try JSONEncoder().encode(body)))
    } else if method == "POST" {
      request.body = .bytes([])
    }
    return request
  }
}

/// `1.41`.
struct DockerAPIVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  var major: Int
  var minor: Int

  init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  init?(_ text: String) {
    let parts = text.split(separator: ".")
    guard parts.count == 2, let major = Int(parts[0]), let minor = Int(parts[1]) else { return nil }
    self.init(major: major, minor: minor)
  }

  static func < (one: Self, other: Self) -> Bool { (one.major, one.minor) < (other.major, other.minor) }
  var description: String { "\(major).\(minor)" }
}
