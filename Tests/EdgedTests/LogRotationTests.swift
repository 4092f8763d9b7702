import Glibc
import KubernetesAPI
import Logging
import Runtime
import Synchronization
import Testing

@testable import Edged

/// Writes a log as an engine does: on request, it goes on in a new file.
private final class LogTestWriter: Sendable {
  private struct State {
    var descriptor: Int32 = -1
    var count = 0
  }

  let path: String
  private let state = Mutex(State())

  init(path: String) throws {
    self.path = path
    try reopen()
  }

  deinit { state.withLock { _ = close($0.descriptor) } }

  func reopen() throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { throw FileError.last("open", path) }
    state.withLock { state in
      if state.descriptor >= 0 { close(state.descriptor) }
      state.descriptor = descriptor
    }
  }

  func writeLine() {
    state.withLock { state in
      let line = Array("2026-03-01T12:00:00.000000001Z stdout F line \(state.count)\n".utf8)
      state.count += write(state.descriptor, line, line.count) == line.count ? 1 : 0
    }
  }

  var count: Int { state.withLock { $0.count } }
}

@Suite(.timeLimit(.minutes(2))) struct LogRotationTests {
  private let scratch: LogScratch
  init() throws { scratch = try LogScratch() }

  private final class Calls: Sendable {
    let made = Mutex<[String]>([])
    func add(_ call: String) { made.withLock { $0.append(call) } }
    var all: [String] { made.withLock { $0 } }
  }

  private final class Clock: Sendable {
    let seconds = Mutex<Int64>(1_772_366_400)  // 2026-03-01T12:00:00Z
    /// Each time is a second later.
    func next() -> Timestamp {
      seconds.withLock { seconds in
        defer { seconds += 1 }
        return Timestamp(seconds: seconds)
      }
    }
  }

  private func rotation(
    size: Int64 = 100, files: Int = 5, compress: (@Sendable (String) async throws -> Void)? = nil,
    reopen: @escaping @Sendable (String) async throws -> Void
  ) -> LogRotation {
    var settings = LogRotation.Settings()
    settings.maximumSize = size
    settings.maximumFiles = files
    let clock = Clock()
    return LogRotation(
      settings: settings, logger: Logger(label: "test"), reopen: reopen, compress: compress ?? { try await LogRotation.gzip($0) },
      now: { clock.next() })
  }

  @Test func losesNoLine() async throws {
    let writer = try LogTestWriter(path: scratch.path + "/0.log")
    let rotation = rotation(size: 20_000, files: 1000, compress: { _ in }) { _ in try writer.reopen() }
    let end = LogTestLatch()
    let reader = try LogReader(path: writer.path) { await end.wait() }
    let isDone = LogTestLatch()

    async let followed: String = {
      var bytes: [UInt8] = []
      for try await piece in reader { bytes += piece }
      return String(decoding: bytes, as: UTF8.self)
    }()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while !isDone.isOpen {
          for _ in 0..<50 { writer.writeLine() }
          await Task.yield()
        }
      }
      // The follower may be slower than many rotations; each file it needs is there.
      while try LogDirectory.rotated(of: writer.path).count < 20 {
        await rotation.check([RunningLog(containerID: "c", path: writer.path)])
        await Task.yield()
      }
      isDone.open()
    }
    end.open()
    let expected = (0..<writer.count).map { "line \($0)\n" }.joined()
    var kept = ""
    for path in try LogDirectory.rotated(of: writer.path) + [writer.path] {
      for try await piece in try LogReader(path: path) { kept += String(decoding: piece, as: UTF8.self) }
    }
    #expect(kept == expected)
    #expect(try await followed == expected)
  }

  @Test func keepsSoManyFilesAndCompressesThem() async throws {
    let path = scratch.path + "/0.log"
    let calls = Calls()
    let rotation = rotation { id in
      calls.add(id)
      try scratch.write("0.log", "")
    }
    for round in 0..<7 {
      try scratch.write("0.log", String(repeating: "\(round)", count: 100))
      await rotation.check([RunningLog(containerID: "c", path: path)])
    }
    // The current one, the last one, and three that are compressed.
    #expect(
      try scratch.names() == [
        "0.log", "0.log.20260301-120003.gz", "0.log.20260301-120004.gz", "0.log.20260301-120005.gz", "0.log.20260301-120006",
      ])
    #expect(try scratch.read("0.log.20260301-120006") == String(repeating: "6", count: 100))
    #expect(try LogFile(path: path + ".20260301-120005.gz").bytes(at: 0, count: 2) == [0x1F, 0x8B])
    #expect(calls.all.count == 7)
  }

  @Test func leavesSmallLogsAndLinksAlone() async throws {
    let small = try scratch.write("small.log", String(repeating: "x", count: 99))
    let target = try scratch.write("target", String(repeating: "x", count: 1000))
    let link = scratch.path + "/link.log"
    #expect(symlink(target, link) == 0)
    let calls = Calls()
    let rotation = rotation { calls.add($0) }
    await rotation.check([small, link, scratch.path + "/none.log"].map { RunningLog(containerID: "c", path: $0) })
    #expect(calls.all == [])
    #expect(try scratch.names() == ["link.log", "small.log", "target"])
  }

  @Test func putsTheLogBackWhenTheEngineFails() async throws {
    let path = try scratch.write("0.log", String(repeating: "x", count: 100))
    let rotation = rotation { _ in throw RuntimeError(.unavailable, operation: "ReopenContainerLog", message: "gone") }
    await rotation.check([RunningLog(containerID: "c", path: path)])
    #expect(try scratch.names() == ["0.log"])
    #expect(await !rotation.isUnsupported)
  }

  @Test func asksAnEngineThatRotatesItselfOnlyOnce() async throws {
    let calls = Calls()
    let rotation = rotation { id in
      calls.add(id)
      throw RuntimeError(.unsupported, operation: "ReopenContainerLog", message: "not supported")
    }
    let logs = try ["a.log", "b.log"].map { RunningLog(containerID: $0, path: try scratch.write($0, String(repeating: "x", count: 100))) }
    await rotation.check(logs)
    await rotation.check(logs)
    // Nothing is left to do.
    await rotation.run { logs }
    #expect(calls.all == ["a.log"])
    #expect(try scratch.names() == ["a.log", "b.log"])
  }

  @Test func overwritesNoRotatedFile() async throws {
    let path = try scratch.write("0.log", String(repeating: "x", count: 100))
    try scratch.write("0.log.20260301-120000", "precious")
    let calls = Calls()
    let rotation = rotation(compress: { _ in }) { calls.add($0) }
    await rotation.check([RunningLog(containerID: "c", path: path)])
    #expect(calls.all == [])
    #expect(try scratch.read("0.log.20260301-120000") == "precious")
    await rotation.check([RunningLog(containerID: "c", path: path)])
    #expect(try scratch.names() == ["0.log.20260301-120000", "0.log.20260301-120001"])
  }

  @Test func compressesAgainWhatWasInterrupted() async throws {
    let path = try scratch.write("0.log", String(repeating: "x", count: 100))
    try scratch.write("0.log.20260228-120000", String(repeating: "old", count: 1000))
    try scratch.write("0.log.20260228-120000.gz", "half")
    let rotation = rotation { _ in try scratch.write("0.log", "") }
    await rotation.check([RunningLog(containerID: "c", path: path)])
    #expect(try scratch.names() == ["0.log", "0.log.20260228-120000.gz", "0.log.20260301-120000"])
    #expect(try LogFile(path: path + ".20260228-120000.gz").bytes(at: 0, count: 2) == [0x1F, 0x8B])
  }

  @Test func rotatesAlthoughCompressionFails() async throws {
    let path = try scratch.write("0.log", String(repeating: "x", count: 100))
    try scratch.write("0.log.20260228-120000", "old")
    let rotation = rotation(compress: { throw FileError("gzip", $0, code: ENOSPC) }) { _ in try scratch.write("0.log", "") }
    await rotation.check([RunningLog(containerID: "c", path: path)])
    #expect(try scratch.names() == ["0.log", "0.log.20260228-120000", "0.log.20260301-120000"])
  }
}
