import Core
import Foundation
import Glibc

/// How soon after its start the agent asks its engine something. The engine is a socket of this program, and being connected to
/// counts as the call.
struct BootBenchmark {
  let program: String
  var rounds = 10

  func run(into report: inout Report) async throws {
    progress("process start")
    let times = try await Agent.withDirectory { directory in
      let socket = directory + "/engine.sock"
      try Agent.configure(directory, endpoint: "unix://" + socket)
      var times: [Double] = []
      for _ in 0..<rounds {
        let listener = try Self.listen(socket)
        defer {
          close(listener)
          unlink(socket)
        }
        let begin = ContinuousClock.now
        let process = try ChildProgram(program, ["--config", directory + "/edgecore.yaml"], output: directory + "/edgecore.log")
        let called = await Self.accept(listener)
        await process.stop(grace: .seconds(2))
        guard let called else { throw Failure("the agent asked nothing within 10 s") }
        times.append(begin.duration(to: called).milliseconds)
      }
      return times
    }
    let median = times.median ?? 0
    report.add("Process start until the first engine call", "\(median.text(1)) ms", bar: "≤ 100 ms", isMet: median <= 100)
    report.note("all process starts: \(times.sorted().map { $0.text(0) }.joined(separator: " ")) ms")
  }

  private static func listen(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let isBound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 }
    }
    guard descriptor >= 0, isBound, Glibc.listen(descriptor, 8) == 0 else { throw Failure("can't listen on \(path): errno \(errno)") }
    return descriptor
  }

  /// When the first connection came; nil if none came in time.
  private static func accept(_ listener: Int32) async -> ContinuousClock.Instant? {
    await withCheckedContinuation { continuation in
      let wait = { @Sendable in
        var request = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        let isCalled = poll(&request, 1, 10_000) == 1
        let now = ContinuousClock.now
        continuation.resume(returning: isCalled ? now : nil)
      }
      do { try OperatingSystemThread.start("accept", run: wait) } catch { wait() }
    }
  }
}
