import Curl
import HTTPServer
import Runtime

/// How a client's request to leave HTTP is answered.
struct StreamUpgrade: Sendable {
  var request: ServerRequest

  static let spdy = "SPDY/3.1"
  static let required = ServerResponse.text("Upgrade request required", status: 400)

  /// Headers that say something about the connection to us, not about the streams.
  private static let ownHeaders: Set<String> = [
    "host", "content-length", "transfer-encoding", "keep-alive", "proxy-connection", "te", "trailer",
  ]

  /// Lets the engine serve the streams itself, and stays between it and the client.
  func proxied(to server: StreamServer, idle: IdleClock) async throws -> Route.Takeover {
    var headers = request.headers.filter { !Self.ownHeaders.contains($0.name.lowercased()) }.map { HTTPField($0.name, $0.value) }
    if let address = request.peer.address {
      let before = request.headerValues("X-Forwarded-For")
      headers.removeAll { $0.name.lowercased() == "x-forwarded-for" }
      headers.append(HTTPField("X-Forwarded-For", (before + [address]).joined(separator: ", ")))
    }
    switch try await server.connect(method: request.method, headers: headers) {
    case .refused(let status, let body): return .respond(.text(body, status: status))
    case .switched(let headers, let connection):
      return .stream { client in
        do {
          try await client.write(SwitchingProtocols(headers: headers.map { ($0.name, $0.value) }).bytes)
        } catch {
          return await connection.close()
        }
        await StreamSplice(client: client, server: connection, idle: idle, endsWithClient: true).run()
        await connection.close()
      }
    }
  }

  /// What a client and we both speak.
  enum Agreement: Sendable {
    /// Empty: the client named none, as very old ones do.
    case spdy(version: String)
    /// - Parameter key: what the answer has to prove that it knows.
    case webSocket(WebSocketProtocol, key: String)
    case refused(ServerResponse)
  }

  /// - Parameters:
  ///   - spdy: versions over SPDY, the best one first.
  ///   - webSocket: protocols over WebSocket.
  func agreement(spdy: [String], webSocket: [String]) -> Agreement {
    let upgrade = request.headerTokens("Upgrade")
    if upgrade.contains("websocket") { return webSocketAgreement(webSocket) }
    guard upgrade.contains(Self.spdy.lowercased()) else {
      return .refused(.text("streams are served over \(Self.spdy) and websocket, not over \(request.header("Upgrade") ?? "")", status: 400))
    }
    let offered = request.headerTokens("X-Stream-Protocol-Version")
    if offered.isEmpty { return .spdy(version: "") }
    // The client names its best one first.
    if let version = offered.first(where: { spdy.contains($0) }) { return .spdy(version: version) }
    return Self.refusal(offered, spdy)
  }

  private func webSocketAgreement(_ accepted: [String]) -> Agreement {
    guard let key = request.header("Sec-WebSocket-Key"), request.header("Sec-WebSocket-Version") == "13" else {
      var refusal = ServerResponse.text("a websocket needs a Sec-WebSocket-Key and Sec-WebSocket-Version 13", status: 400)
      refusal.headers = [("Sec-WebSocket-Version", "13")]
      return .refused(refusal)
    }
    let offered = request.headerTokens("Sec-WebSocket-Protocol")
    if offered.isEmpty { return .webSocket(WebSocketProtocol(name: ""), key: key) }
    if let name = offered.first(where: { accepted.contains($0) }) { return .webSocket(WebSocketProtocol(name: name), key: key) }
    return Self.refusal(offered, accepted)
  }

  private static func refusal(_ offered: [String], _ accepted: [String]) -> Agreement {
    var refusal = ServerResponse.text(
      "unable to upgrade: unable to negotiate protocol: client supports \(offered), server accepts \(accepted)", status: 403)
    refusal.headers = accepted.map { ("X-Accepted-Stream-Protocol-Versions", $0) }
    return .refused(refusal)
  }

  /// The head with which SPDY begins.
  static func switching(version: String) -> [UInt8] {
    var headers = [("Connection", "Upgrade"), ("Upgrade", spdy)]
    if !version.isEmpty { headers.append(("X-Stream-Protocol-Version", version)) }
    return SwitchingProtocols(headers: headers).bytes
  }
}
