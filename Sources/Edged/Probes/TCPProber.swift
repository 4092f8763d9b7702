import Curl

/// `tcpSocket`: who accepts the connection is well.
struct TCPProber: Sendable {
  let client: HTTPClient

  func attempt(host: String, port: Int, limit: Duration) async -> ProbeOutcome {
    do {
      let client = client
      let connection = try await withTimeLimit(limit) { try await client.connect(host: host, port: port, connectTimeout: limit) }
      await connection.close()
      return .success()
    } catch {
      return .failure("dial tcp \(HTTPTarget.bracketed(host)):\(port): \(error)")
    }
  }
}
