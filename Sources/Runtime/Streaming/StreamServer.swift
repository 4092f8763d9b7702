import Curl

/// The streams that a client wants of an engine.
public enum StreamRequest: Sendable, Hashable {
  case exec(containerID: String, command: [String], options: StreamOptions)
  case attach(containerID: String, options: StreamOptions)
  /// The ports matter only to clients that name them beforehand.
  case portForward(sandboxID: String, ports: [Int32])

  /// CRI's word for it.
  var operation: String {
    switch self {
    case .exec: "Exec"
    case .attach: "Attach"
    case .portForward: "PortForward"
    }
  }
}

/// The URL at which an engine serves streams, once and for about a minute. Whoever knows it may connect, so it is never shown.
public struct StreamServer: Sendable, CustomStringConvertible {
  private let url: String
  private let operation: String
  private let http: HTTPClient
  private let timeout: Duration

  /// What the engine answered.
  public enum Answer: Sendable {
    /// The other protocol begins; the headers are those of the answer, in their order.
    case switched(headers: [HTTPField], connection: RawConnection)
    case refused(status: Int, body: String)
  }

  init(url: String, operation: String, http: HTTPClient, timeout: Duration) {
    self.url = url
    self.operation = operation
    self.http = http
    self.timeout = timeout
  }

  public var description: String { "the engine's stream server for \(operation)" }

  /// Sends the request to upgrade.
  /// - Parameter headers: `Upgrade` and `Connection` among them; not `Host`.
  /// - Throws: `RuntimeError` if the engine's server can't be reached or doesn't answer in time.
  public func connect(method: String, headers: [HTTPField]) async throws -> Answer {
    guard url.hasPrefix("http://") else {
      throw RuntimeError(.unsupported, operation: operation, message: "the engine's streaming URL is no http:// URL")
    }
    var request = HTTPRequest(method, url, headers: headers)
    request.timeout = timeout
    do {
      let upgrade = try await http.upgrade(request)
      guard upgrade.status == 101 else {
        await upgrade.connection.close()
        return .refused(status: 500, body: "the engine's stream server answered with status \(upgrade.status)")
      }
      return .switched(headers: upgrade.headers, connection: upgrade.connection)
    } catch let error as HTTPError {
      if case .upgradeRefused(let status, let body) = error.kind { return .refused(status: status < 400 ? 500 : status, body: body) }
      throw RemoteCommand.translate(error, operation: operation)
    }
  }
}
