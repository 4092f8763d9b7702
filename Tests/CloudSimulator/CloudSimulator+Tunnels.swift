import YAML

extension CloudSimulator {
  /// What the cluster may want of a node; the numbers are those on the wire.
  public enum StreamKind: UInt64, Sendable { case logs = 0, exec = 1, metrics = 2, attach = 6 }

  /// `127.0.0.1:PORT`, for `modules.edgeStream.server`.
  public var tunnelServer: String { "\(configuration.host):\(tunnelListener.port)" }

  /// A node's certificate and key, both PEM, without its having joined.
  public func nodeIdentity(_ node: String) throws -> (certificate: String, key: String) {
    try core.authority.nodeIdentity(node, life: configuration.certificateLife)
  }

  /// How many tunnels were opened so far.
  public var tunnelConnections: Int { tunnels.connections }

  /// The texts of the pings that a node has sent through its tunnels.
  public func tunnelPings(of node: String) -> [String] { tunnels.pings(of: node) }

  /// Whether there is a tunnel to a node, by its name or its address.
  public func hasTunnel(_ key: String) -> Bool { tunnels[key] != nil }

  /// Waits until something about tunnels is as it should be.
  ///
  /// - Throws: `CloudSimulatorError` when the time is over.
  public func waitForTunnel(
    within limit: Duration = .seconds(60), until isDone: @escaping @Sendable (CloudSimulator) -> Bool
  ) async throws {
    let changes = tunnels.progress.stream(.bufferingNewest(1))
    let done = await Deadline.first(within: limit) { [self] () -> Bool? in
      if isDone(self) { return true }
      for await _ in changes where isDone(self) { return true }
      return nil
    }
    guard done != nil else { throw CloudSimulatorError("the tunnels are not as they should be after \(limit)") }
  }

  /// Asks a node for something, as cloudcore does.
  ///
  /// - Parameters:
  ///   - key: the node's name or its address.
  ///   - method: only goes along with exec and attach.
  /// - Throws: `CloudSimulatorError` without a tunnel.
  public func openStream(
    _ kind: StreamKind, _ key: String, path: String, query: String = "", headers: [(String, [String])] = [], method: String = "POST"
  ) throws -> TunnelStream {
    var connect = JSONValue.members(
      (
        "url",
        .members(
          ("Scheme", .string("http")), ("Opaque", .string("")), ("User", .null), ("Host", .string("127.0.0.1:10350")),
          ("Path", .string(path)), ("RawPath", .string("")), ("OmitHost", .bool(false)), ("ForceQuery", .bool(false)),
          ("RawQuery", .string(query)), ("Fragment", .string("")), ("RawFragment", .string("")))
      ), ("header", .object(headers.map { .init($0.0, .array($0.1.map { .string($0) })) })))
    if kind == .exec || kind == .attach { connect["method"] = .string(method) }
    return try openStream(kind, key, connect: connect)
  }

  /// Asks a node for something in these words.
  ///
  /// - Parameter connect: the session's number is added to it.
  public func openStream(_ kind: StreamKind, _ key: String, connect: JSONValue) throws -> TunnelStream {
    guard let tunnel = tunnels[key] else { throw CloudSimulatorError("there is no tunnel to \(key)") }
    let stream = TunnelStream(id: tunnels.nextID(), tunnel: tunnel)
    tunnel.add(stream)
    var connect = connect
    if connect.object != nil { connect["MessID"] = .number(String(stream.id)) }
    tunnel.send(stream.id, kind.rawValue, connect.jsonBytes())
    return stream
  }

  /// Sends a node any message through its tunnel.
  public func sendThroughTunnel(_ key: String, id: UInt64, type: UInt64, _ payload: [UInt8] = []) throws {
    guard let tunnel = tunnels[key] else { throw CloudSimulatorError("there is no tunnel to \(key)") }
    tunnel.send(id, type, payload)
  }

  /// Tells a node that its tunnel ends, as cloudcore does when it can't find the Node.
  public func closeTunnel(_ key: String, _ words: String) throws {
    try sendThroughTunnel(key, id: 0, type: 5, Array(words.utf8))
  }

  /// Closes the listener for tunnels and all tunnels.
  public func cutTunnels() async { await tunnelListener.close() }

  /// Takes tunnels again, on the same port.
  public func restoreTunnels() async throws { try await tunnelListener.open() }
}
