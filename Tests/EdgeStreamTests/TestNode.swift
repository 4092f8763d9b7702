import CloudSimulator
import Core
import Glibc
import LocalAPI
import Logging
import ServiceLifecycle
import Testing
import YAML

@testable import EdgeStream

/// A node with nothing but its tunnel, its API played by a test, and a folder for its certificate.
struct TestNode: Sendable {
  static let name = "edge-1"
  static let address = "10.1.2.3"

  let cloud: CloudSimulator
  let server: NodeServer
  let channel = ChannelContext()
  let folder: String
  let module: EdgeStream

  init(
    _ cloud: CloudSimulator, _ server: NodeServer, _ adjust: (inout EdgeStreamConfiguration, inout TunnelLimits) -> Void
  ) throws {
    self.cloud = cloud
    self.server = server
    var template = Array("/tmp/edgestream-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestFailure("can't make a folder") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var configuration = EdgeStreamConfiguration()
    configuration.enable = true
    configuration.server = cloud.tunnelServer
    configuration.tlsTunnelCAFile = "\(folder)/ca.crt"
    configuration.tlsTunnelCertFile = "\(folder)/node.crt"
    configuration.tlsTunnelPrivateKeyFile = "\(folder)/node.key"
    var limits = TunnelLimits()
    limits.reconnection = Backoff(initial: .milliseconds(20), maximum: .milliseconds(100))
    limits.registration = .zero
    limits.settling = .zero
    adjust(&configuration, &limits)
    try channel.register(.edgeStream, group: .edgeStream)
    module = EdgeStream(
      configuration: configuration, nodeName: Self.name, nodeAddress: { Self.address }, apiAddress: "127.0.0.1", apiPort: server.port,
      channel: channel, limits: limits)
  }

  /// Writes the node's certificate, as EdgeHub does when it has joined.
  func writeFiles() throws {
    let identity = try cloud.nodeIdentity(Self.name)
    try write("ca.crt", cloud.authorityPEM)
    try write("node.crt", identity.certificate)
    try write("node.key", identity.key)
  }

  func write(_ name: String, _ text: String) throws {
    guard let file = fopen("\(folder)/\(name)", "w") else { throw TestFailure("can't write \(name)") }
    fputs(text, file)
    fclose(file)
  }

  func removeFolder() {
    for name in ["ca.crt", "node.crt", "node.key"] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  func summary() async throws -> TunnelSummary {
    let query = Message(route: .init(source: "test", operation: .query, resource: "tunnel"))
    return try await channel.request(query, to: .edgeStream, timeout: .seconds(20)).decodeContent()
  }

  @discardableResult
  func summary(where fits: (TunnelSummary) -> Bool) async throws -> TunnelSummary {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let summary = try await summary()
      if fits(summary) { return summary }
      guard ContinuousClock.now < deadline else { throw TestFailure("the status stayed \(summary)") }
      try await Task.sleep(for: .milliseconds(10))
    }
  }

  func error(_ part: String) async throws { try await summary { $0.lastError?.contains(part) ?? false } }

  /// Waits for the tunnel.
  func connected(times count: Int = 1) async throws {
    try await cloud.waitForTunnel { $0.tunnelConnections >= count && $0.hasTunnel(TestNode.name) }
  }

  func open(
    _ kind: CloudSimulator.StreamKind, _ path: String, query: String = "", headers: [(String, [String])] = [], method: String = "POST"
  ) throws -> TunnelStream {
    try cloud.openStream(kind, Self.name, path: path, query: query, headers: headers, method: method)
  }
}

/// Sockets that this process has open.
func openSockets() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  var count = 0
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    var buffer = [UInt8](repeating: 0, count: 64)
    let length = buffer.withUnsafeMutableBytes { bytes in
      bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map { readlink("/proc/self/fd/\(name)", $0, 64) } ?? -1 }
    }
    if length > 7, String(decoding: buffer[..<7], as: UTF8.self) == "socket:" { count += 1 }
  }
  return count
}

/// Runs a node with a cloud while `body` runs, stops it gracefully, and looks whether anything stays behind.
func withNode(
  body logs: [UInt8] = Array("a line\n".utf8), hasFiles: Bool = true,
  _ adjust: (inout EdgeStreamConfiguration, inout TunnelLimits) -> Void = { _, _ in },
  _ body: @escaping @Sendable (TestNode) async throws -> Void
) async throws {
  let before = openSockets()
  let cloud = try await CloudSimulator.start()
  let server = try await NodeServer.start(body: logs)
  let node = try TestNode(cloud, server, adjust)
  defer { node.removeFolder() }
  if hasFiles { try node.writeFiles() }
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  let group = ServiceGroup(services: [node.module], logger: logger)
  var failure: (any Error)?
  await withTaskGroup(of: Void.self) { tasks in
    tasks.addTask { try? await group.run() }
    do { try await body(node) } catch { failure = error }
    if let failure { Issue.record("\((try? await node.summary()).map { "\($0)" } ?? "no status"): \(failure)") }
    await group.triggerGracefulShutdown()
    await tasks.waitForAll()
  }
  if failure == nil { try? await server.waitUntilAlone() }
  await server.stop()
  await cloud.shutdown()
  #expect(openSockets() == before)
  if let failure { throw failure }
}
