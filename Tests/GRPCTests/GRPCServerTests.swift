import Curl
import Glibc
import Logging
import NIOPosix
import Testing

@testable import GRPC

/// The server with a real client over a Unix socket.
@Suite(.timeLimit(.minutes(2))) struct GRPCServerTests {
  private func serving(
    _ methods: [String: GRPCServer.Method], _ limits: GRPCServer.Limits = .init(), _ body: (GRPCChannel) async throws -> Void
  ) async throws {
    var template = Array("/tmp/edgecore-grpc-XXXXXX".utf8CString)
    let directory = String(cString: try #require(mkdtemp(&template)))
    let path = directory + "/test.sock"
    // A stale one lies in the way.
    let stale = try #require(fopen(path, "w"))
    fclose(stale)
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = GRPCServer(socket: path, methods: methods, limits: limits, group: events, logger: Logger(label: "test"))
    let (listening, started) = AsyncStream<Void>.makeStream()
    let serving = Task {
      defer { started.finish() }
      try await server.run { started.yield() }
    }
    for await _ in listening { break }
    let http = HTTPClient()
    let result: Result<Void, any Error>
    do { result = .success(try await body(GRPCChannel(.unixSocket(path: path), http: http))) } catch { result = .failure(error) }
    serving.cancel()
    _ = await serving.result
    #expect(access(path, F_OK) != 0, "the socket is removed")
    #expect(rmdir(directory) == 0, "nothing else is left")
    await http.shutdown()
    try await events.shutdownGracefully()
    try result.get()
  }

  @Test func callsAreAnswered() async throws {
    try await serving(["/t.Echo/Say": { $0.reversed() }]) { channel in
      for size in [0, 1, 70_000, 1 << 20] {
        let message = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        let reply = try await channel.unary("t.Echo", "Say", message, timeout: .seconds(20))
        #expect(reply == message.reversed(), "\(size) bytes")
      }
    }
  }

  @Test func errorsKeepTheirCodeAndText() async throws {
    let methods: [String: GRPCServer.Method] = [
      "/t.Echo/No": { _ in throw GRPCError(.failedPrecondition, "100 % nötig\n") }, "/t.Echo/Odd": { _ in throw CancellationError() },
    ]
    try await serving(methods) { channel in
      await #expect(throws: GRPCError(.failedPrecondition, "100 % nötig\n")) {
        try await channel.unary("t.Echo", "No", [UInt8](), timeout: .seconds(20))
      }
      let odd = await #expect(throws: GRPCError.self) { try await channel.unary("t.Echo", "Odd", [UInt8](), timeout: .seconds(20)) }
      #expect(odd?.code == .unknown)
      let unknown = await #expect(throws: GRPCError.self) { try await channel.unary("t.Echo", "Other", [UInt8](), timeout: .seconds(20)) }
      #expect(unknown?.code == .unimplemented)
    }
  }

  @Test func manyCallsAtOnceAreAnsweredEachWithItsOwn() async throws {
    try await serving(["/t.Echo/Say": { $0 }]) { channel in
      try await withThrowingTaskGroup(of: Bool.self) { calls in
        for number in 0..<300 {
          calls.addTask {
            let message = Array("call \(number)".utf8)
            return try await channel.unary("t.Echo", "Say", message, timeout: .seconds(60)) == message
          }
        }
        for try await isRight in calls { #expect(isRight) }
      }
    }
  }

  @Test func whatTakesTooLongOrIsTooLargeIsRefusedAndDisturbsNobody() async throws {
    var limits = GRPCServer.Limits()
    limits.timeout = .milliseconds(300)
    limits.message = 1000
    let methods: [String: GRPCServer.Method] = [
      "/t.Echo/Hang": { _ in
        try await Task.sleep(for: .seconds(1000))
        return []
      }, "/t.Echo/Say": { $0 },
    ]
    try await serving(methods, limits) { channel in
      async let hanging = channel.unary("t.Echo", "Hang", [UInt8](), timeout: .seconds(20))
      let large = await #expect(throws: GRPCError.self) {
        try await channel.unary("t.Echo", "Say", [UInt8](repeating: 1, count: 100_000), timeout: .seconds(20))
      }
      #expect(large?.code == .resourceExhausted)
      let reply = try await channel.unary("t.Echo", "Say", [1, 2], timeout: .seconds(20))
      #expect(reply == [1, 2])
      do {
        _ = try await hanging
        Issue.record("it was answered")
      } catch let error as GRPCError {
        #expect(error.code == .deadlineExceeded)
      }
    }
  }

  /// Whatever somebody writes to the socket who doesn't speak HTTP/2.
  @Test(arguments: ["", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish rubbish rubbish", "\u{0}\u{0}\u{0}"])
  func strangersAreLeftAlone(text: String) async throws {
    try await serving(["/t.Echo/Say": { $0 }]) { channel in
      guard case .unixSocket(let path) = channel.target else { return }
      let stranger = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(stranger) }
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
      let connected = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(stranger, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
      #expect(connected == 0)
      let bytes = Array(text.utf8)
      _ = write(stranger, bytes, bytes.count)
      let reply = try await channel.unary("t.Echo", "Say", [7], timeout: .seconds(20))
      #expect(reply == [7])
    }
  }
}
