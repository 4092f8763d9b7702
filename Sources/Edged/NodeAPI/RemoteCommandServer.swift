import HTTPServer
import Runtime
import YAML

/// Versions of Kubernetes' remote command protocol over SPDY, the best one first.
enum RemoteCommandVersion: String, Sendable, CaseIterable {
  case v4 = "v4.channel.k8s.io"
  case v3 = "v3.channel.k8s.io"
  case v2 = "v2.channel.k8s.io"
  case v1 = "channel.k8s.io"

  var resizesTerminals: Bool { self == .v4 || self == .v3 }
}

/// Serves exec and attach, for engines that don't do it themselves.
struct RemoteCommandServer: Sendable {
  /// How long the client may take to open its streams.
  private static let creationTime = Duration.seconds(30)

  /// What the client will open, besides the stream for errors.
  let streams: StreamOptions
  let idle: IdleClock
  let open: @Sendable () async throws -> any StreamSession

  /// Over SPDY: the client opens the streams.
  func serve(_ connection: StreamConnection, _ version: RemoteCommandVersion) async {
    let (arrivals, arrival) = AsyncStream<SPDYStream>.makeStream()
    let expected = expectedTypes(version)
    await serveSPDY(connection, idle: idle) { stream in
      guard expected.contains(stream.type) else { return nil }
      return { arrival.yield(stream) }
    } work: { _ in
      let opened = try? await withTimeLimit(Self.creationTime) { await Self.streams(expected, from: arrivals) }
      if let opened, opened.count == expected.count { try? await run(opened, hasStatus: version == .v4) }
    }
  }

  /// Over a WebSocket: the streams are there, with numbers.
  func serve(_ connection: StreamConnection, _ version: WebSocketProtocol) async {
    let channels = WebSocketStreams(connection, version, count: 5, idle: idle)
    var opened: [String: any ClientStream] = ["error": channels.streams[3]]
    if streams.stdin { opened["stdin"] = channels.streams[0] }
    if streams.stdout { opened["stdout"] = channels.streams[1] }
    if streams.stderr { opened["stderr"] = channels.streams[2] }
    if streams.tty { opened["resize"] = channels.streams[4] }
    let hasStatus = version.name.hasPrefix("v")
    await channels.run { [opened] in
      // Clients take the first message for the sign that the streams are there.
      try? await (opened["stdout"] ?? opened["stderr"] ?? opened["error"])?.write([])
      try? await run(opened, hasStatus: hasStatus)
    }
  }

  private func expectedTypes(_ version: RemoteCommandVersion) -> Set<String> {
    var types: Set = ["error"]
    if streams.stdin { types.insert("stdin") }
    if streams.stdout { types.insert("stdout") }
    if streams.stderr { types.insert("stderr") }
    if streams.tty, version.resizesTerminals { types.insert("resize") }
    return types
  }

  private static func streams(_ expected: Set<String>, from arrivals: AsyncStream<SPDYStream>) async -> [String: SPDYStream] {
    var opened: [String: SPDYStream] = [:]
    for await stream in arrivals {
      opened[stream.type] = stream
      if opened.count == expected.count { break }
    }
    return opened
  }

  /// - Parameter hasStatus: whether the end is told as an object.
  private func run(_ opened: [String: any ClientStream], hasStatus: Bool) async throws {
    let result: Result<Int32, any Error>
    do {
      let session = try await open()
      do {
        result = .success(try await relay(session, opened))
      } catch {
        result = .failure(error)
      }
      await session.close()
    } catch {
      result = .failure(error)
    }
    for type in ["stdout", "stderr"] { try await opened[type]?.end() }
    if let text = RemoteCommandEnd(result).text(asStatus: hasStatus) { try await opened["error"]?.write(text) }
    for stream in opened.values { try await stream.end() }
  }

  /// Returns the exit code once the process has ended and everything it printed is sent.
  private func relay(_ session: any StreamSession, _ opened: [String: any ClientStream]) async throws -> Int32 {
    try await withThrowingTaskGroup(of: Int32?.self) { tasks in
      tasks.addTask {
        var code: Int32 = 0
        for try await output in session.output {
          switch output {
          case .stdout(let bytes): try await opened["stdout"]?.write(bytes)
          case .stderr(let bytes): try await opened["stderr"]?.write(bytes)
          case .exited(let exit): code = exit
          }
        }
        return code
      }
      if let stdin = opened["stdin"] {
        tasks.addTask {
          do {
            while let bytes = await stdin.input.next() { try await session.write(bytes) }
            if !Task.isCancelled { try await session.closeInput() }
          } catch {
            // A process that has closed its input may go on printing.
            stdin.input.close()
          }
          return nil
        }
      }
      if let resize = opened["resize"] {
        tasks.addTask {
          var sizes = TerminalSizes()
          while let bytes = await resize.input.next() {
            for size in sizes.add(bytes) { try? await session.resize(columns: size.columns, rows: size.rows) }
          }
          return nil
        }
      }
      defer { tasks.cancelAll() }
      while let result = try await tasks.next() {
        if let code = result { return code }
      }
      throw CancellationError()
    }
  }
}

/// How a remote command ended, as its stream for errors tells.
struct RemoteCommandEnd {
  private let result: Result<Int32, any Error>

  init(_ result: Result<Int32, any Error>) { self.result = result }

  /// A `Status` object, or in older versions a text, and nothing for a success.
  func text(asStatus: Bool) -> [UInt8]? {
    let message: String
    var members: [JSONValue.Member] = [.init("metadata", .object([]))]
    switch result {
    case .success(0):
      guard asStatus else { return nil }
      return JSONValue.object(members + [.init("status", .string("Success"))]).jsonBytes()
    case .success(let code):
      message = "command terminated with non-zero exit code: \(code)"
      members += Self.failure(message, reason: "NonZeroExitCode", cause: ("ExitCode", String(code)))
    case .failure(let error):
      let problem = "error executing command in container: \(error)"
      message = "Internal error occurred: \(problem)"
      members += Self.failure(message, reason: "InternalError", cause: ("", problem)) + [.init("code", .number("500"))]
    }
    return asStatus ? JSONValue.object(members).jsonBytes() : Array(message.utf8)
  }

  private static func failure(_ message: String, reason: String, cause: (reason: String, message: String)) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = [.init("message", .string(cause.message))]
    if !cause.reason.isEmpty { members.insert(.init("reason", .string(cause.reason)), at: 0) }
    return [
      .init("status", .string("Failure")), .init("message", .string(message)), .init("reason", .string(reason)),
      .init("details", .object([.init("causes", .array([.object(members)]))])),
    ]
  }
}

/// Reads `{"Width":80,"Height":24}` objects, one behind the other, from pieces of any size.
struct TerminalSizes {
  private var text: [UInt8] = []

  mutating func add(_ bytes: [UInt8]) -> [(columns: UInt16, rows: UInt16)] {
    var sizes: [(columns: UInt16, rows: UInt16)] = []
    text += bytes
    while let end = text.firstIndex(of: UInt8(ascii: "}")) {
      let object = try? JSONValue(json: Array(text[...end]))
      text.removeFirst(end + 1)
      guard let columns = object?["Width"]?.int, let rows = object?["Height"]?.int else { continue }
      sizes.append((UInt16(clamping: columns), UInt16(clamping: rows)))
    }
    // Nothing that begins a size is that long.
    if text.count > 1024 { text = [] }
    return sizes
  }
}
