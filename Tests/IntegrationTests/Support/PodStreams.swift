import Curl
import SPDY
import YAML

/// A client of the node's streams over SPDY/3.1, as kubectl is one.
actor PodStreams {
  private let connection: RawConnection
  private var block = SPDYHeaderBlock()
  private var decoder = SPDYDecoder()
  private var types: [UInt32: String] = [:]
  private var lastID = UInt32.max
  private(set) var received: [String: [UInt8]] = [:]
  private(set) var ended: Set<String> = []
  private(set) var isAtEnd = false
  let version: String

  /// - Throws: `HTTPError` with the server's answer if it refuses.
  static func open(
    _ agent: Agent, _ target: String, versions: String = "v4.channel.k8s.io, v3.channel.k8s.io", method: String = "POST"
  ) async throws -> PodStreams {
    var request = HTTPRequest(method, "http://127.0.0.1:\(agent.port)\(target)")
    request.headers = [
      HTTPField("Connection", "Upgrade"), HTTPField("Upgrade", "SPDY/3.1"), HTTPField("X-Stream-Protocol-Version", versions),
    ]
    request.timeout = .seconds(60)
    let upgrade = try await agent.http.upgrade(request)
    return PodStreams(upgrade.connection, version: upgrade.header("X-Stream-Protocol-Version") ?? "")
  }

  private init(_ connection: RawConnection, version: String) {
    self.connection = connection
    self.version = version
  }

  /// Opens a stream; its name is its type unless another is given.
  func open(_ type: String, name: String? = nil, headers: [(String, String)] = []) async throws {
    lastID = lastID &+ 2
    types[lastID] = name ?? type
    try await connection.write(SPDYFrame.open(stream: lastID, headerBlock: block.encode([("streamtype", type)] + headers)))
  }

  func send(_ bytes: [UInt8], to name: String) async throws {
    guard let id = types.first(where: { $0.value == name })?.key else { return }
    var rest = bytes[...]
    while !rest.isEmpty {
      try await connection.write(SPDYFrame.data(stream: id, rest.prefix(SPDYFrame.dataLimit)))
      rest = rest.dropFirst(SPDYFrame.dataLimit)
    }
  }

  func end(_ name: String) async throws {
    guard let id = types.first(where: { $0.value == name })?.key else { return }
    try await connection.write(SPDYFrame.data(stream: id, [], isLast: true))
  }

  func readUntilEnded(_ names: Set<String>) async throws {
    while !isAtEnd, !names.isSubset(of: ended) {
      guard let bytes = try await connection.read() else {
        isAtEnd = true
        return
      }
      try take(bytes)
    }
  }

  /// Reads until that much has come on a stream, or it has ended.
  func read(_ name: String, count: Int) async throws {
    while !isAtEnd, !ended.contains(name), received[name, default: []].count < count {
      guard let bytes = try await connection.read() else {
        isAtEnd = true
        return
      }
      try take(bytes)
    }
  }

  private func take(_ bytes: [UInt8]) throws {
    decoder.append(bytes)
    while let event = try decoder.next() {
      switch event {
      case .data(let stream, let bytes): received[types[stream] ?? "?", default: []] += bytes
      case .ended(let stream): ended.insert(types[stream] ?? "?")
      case .opened, .ping, .goAway: break
      }
    }
  }

  func text(_ name: String) -> String { String(decoding: received[name] ?? [], as: UTF8.self) }

  func close() async { await connection.close() }
}

extension PodStreams {
  struct Result: Sendable {
    var stdout: [UInt8]
    var stderr: String
    /// The `Status` object.
    var status: JSONValue

    var output: String { String(decoding: stdout, as: UTF8.self) }
    var exitCode: String? {
      status["status"]?.string == "Success"
        ? "0" : status["details"]?["causes"]?.array?.first { $0["reason"]?.string == "ExitCode" }?["message"]?.string
    }
  }

  /// Runs a command with or without input.
  static func exec(_ agent: Agent, _ pod: String, _ command: [String], input: [UInt8]? = nil) async throws -> Result {
    let words = command.map { "&command=" + escaped($0) }.joined()
    let streams = try await open(agent, "/exec/default/\(pod)/main?output=1&error=1\(input == nil ? "" : "&input=1")\(words)")
    try await streams.open("error")
    if input != nil { try await streams.open("stdin") }
    try await streams.open("stdout")
    try await streams.open("stderr")
    async let sending: Void = {
      guard let input else { return }
      try await streams.send(input, to: "stdin")
      try await streams.end("stdin")
    }()
    try await streams.readUntilEnded(["error", "stdout", "stderr"])
    _ = try? await sending
    let result = Result(
      stdout: await streams.received["stdout"] ?? [], stderr: await streams.text("stderr"),
      status: (try? JSONValue(json: await streams.received["error"] ?? [])) ?? .null)
    await streams.close()
    return result
  }

  /// Percent-encoded for a query.
  static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      let isPlain = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
  }
}
