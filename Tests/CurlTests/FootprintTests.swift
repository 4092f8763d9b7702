import Curl
import Foundation
import Testing

/// What a client takes from the process: descriptors, threads, wake-ups. Each test has a process of its own.
@Suite(.timeLimit(.minutes(3)))
struct FootprintTests {
  static func descriptors() throws -> [String] {
    let directory = "/proc/self/fd"
    return try FileManager.default.contentsOfDirectory(atPath: directory)
      .compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\($0)") }
  }

  /// The directories of the threads called "curl".
  static func threads() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").map { "/proc/self/task/\($0)" }
      .filter { (try? String(contentsOfFile: "\($0)/comm", encoding: .utf8)) == "curl\n" }
  }

  /// How often the thread has gone to sleep so far.
  static func sleeps(_ thread: String) throws -> String {
    let status = try String(contentsOfFile: "\(thread)/status", encoding: .utf8)
    return status.split(separator: "\n").filter { $0.contains("ctxt_switches") }.joined()
  }

  /// All that a client does, then its end and the end of all connections.
  static func oneLife(_ server: TestServer, _ endless: TestServer) async throws {
    let client = HTTPClient()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<30 {
        group.addTask {
          _ = try await client.text(server.request("GET", "/\(index)"))
          let response = try await client.execute(endless.request("GET"))
          var iterator = response.body.makeAsyncIterator()
          _ = try await iterator.next()
          let connection = try await client.connect(unixSocketPath: server.path ?? "")
          if index.isMultiple(of: 2) { await connection.close() }
        }
      }
      try await group.waitForAll()
    }
    await client.shutdown()
    // Every connection that the servers end is announced after its descriptor is closed.
    for peer in [server, endless] {
      var departures = peer.departures.makeAsyncIterator()
      while peer.isBusy { _ = await departures.next() }
    }
  }

  @Test func nothingIsLeftOpen() async throws {
    await #expect(processExitsWith: .success) {
      let server = try TestServer.echo(.unix)
      let endless = try AbortTests.endless(Counter())
      try await Self.oneLife(server, endless)
      let before = try Self.descriptors().count
      for _ in 0..<5 { try await Self.oneLife(server, endless) }
      #expect(try Self.descriptors().count == before)
      server.stop()
      endless.stop()
    }
  }

  @Test func oneThreadThatSleepsWhileNothingMoves() async throws {
    await #expect(processExitsWith: .success) {
      let server = try TestServer.echo(.unix)
      let client = HTTPClient()
      #expect(try Self.threads().isEmpty)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 { group.addTask { _ = try await client.text(server.request("GET")) } }
        try await group.waitForAll()
      }
      let threads = try Self.threads()
      #expect(threads.count == 1)
      let thread = try #require(threads.first)
      // Until the last round is over: the same count twice.
      var count = ""
      while try Self.sleeps(thread) != count {
        count = try Self.sleeps(thread)
        try await Task.sleep(for: .milliseconds(100))
      }
      let connection = try await client.connect(unixSocketPath: try #require(server.path))
      try await Task.sleep(for: .milliseconds(200))
      count = try Self.sleeps(thread)
      try await Task.sleep(for: .seconds(2))
      #expect(try Self.sleeps(thread) == count)
      await connection.close()
      await client.shutdown()
      while try !Self.threads().isEmpty { await Task.yield() }
      server.stop()
    }
  }
}
