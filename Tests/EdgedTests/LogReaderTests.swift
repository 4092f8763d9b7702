import Glibc
import KubernetesAPI
import Testing

@testable import Edged

@Suite(.timeLimit(.minutes(2))) struct LogReaderTests {
  private let scratch: LogScratch
  init() throws { scratch = try LogScratch() }

  private func line(_ text: String, partial: Bool = false, stream: String = "stdout") -> String {
    "2026-03-01T12:00:00.5Z \(stream) \(partial ? "P" : "F") \(text)\n"
  }

  private func all(_ path: String, _ options: LogOptions = LogOptions()) async throws -> String {
    var bytes: [UInt8] = []
    for try await piece in try LogReader(path: path, options: options) { bytes += piece }
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func readsALog() async throws {
    let path = try scratch.write("0.log", line("a") + line("b", stream: "stderr"))
    #expect(try await all(path) == "a\nb\n")
    #expect(try await all(path, LogOptions(limitBytes: 3)) == "a\nb")
    #expect(try await all(path, LogOptions(tailLines: 1, timestamps: true)) == "2026-03-01T12:00:00.500000000Z b\n")
    #expect(try await all(try scratch.write("empty.log", "")) == "")
  }

  @Test func tellsThatThereIsNoLog() throws {
    let error = try #require(throws: FileError.self) { try LogReader(path: scratch.path + "/0.log") }
    #expect(error.code == ENOENT)
    #expect(throws: FileError.self) { try LogReader(path: scratch.path) }
  }

  @Test func handsOutBoundedPieces() async throws {
    let path = try scratch.write("0.log", (0..<40_000).map { line("line \($0)") }.joined())
    var pieces = 0
    var total = ""
    for try await piece in try LogReader(path: path) {
      pieces += 1
      #expect(piece.count <= 100 << 10)
      total += String(decoding: piece, as: UTF8.self)
    }
    #expect(pieces > 5)
    #expect(total == (0..<40_000).map { "line \($0)\n" }.joined())
  }

  @Test(arguments: [0, 1, 2, 3, 5, 150, 299, 300, 301, 10_000])
  func readsTheTail(count: Int) async throws {
    // Records shorter and longer than a block, lines of many records.
    let long = String(repeating: "x", count: 20_000)
    let texts = (0..<300).map { $0 % 50 == 48 ? "\($0) \(long)" : "\($0)" }
    let records = texts.enumerated().map { index, text in
      index % 3 == 0 ? text.map { line(String($0), partial: true) }.prefix(5).joined() + line(String(text.dropFirst(5))) : line(text)
    }
    let path = try scratch.write("0.log", records.joined())
    let expected = texts.suffix(count).map { $0 + "\n" }.joined()
    let read = try await all(path, LogOptions(tailLines: count))
    #expect(read == expected)
  }

  @Test(arguments: [1, 2, 3, 4, 10])
  func readsTheTailOfDockersLog(count: Int) async throws {
    func json(_ text: String) -> String { #"{"log":"\#(text)","stream":"stdout","time":"2026-03-01T12:00:00Z"}"# + "\n" }
    let long = String(repeating: "y", count: 16 << 10)
    let path = try scratch.write("c-json.log", json(#"a\n"#) + json(long) + json(long) + json(#"b\n"#) + json(#"c\n"#) + json("open"))
    let lines = ["a\n", long + long + "b\n", "c\n", "open"]
    #expect(try await all(path, LogOptions(tailLines: count)) == lines.suffix(count).joined())
  }

  @Test func countsAnUnfinishedRecordAsALine() async throws {
    let path = try scratch.write("0.log", line("a") + line("b") + "2026-03-01T12:00:00Z stdout F c")
    #expect(try await all(path, LogOptions(tailLines: 2)) == "b\nc\n")
  }

  @Test func readsLastLines() throws {
    let path = try scratch.write("0.log", (0..<200).map { line("line \($0)") }.joined())
    #expect(try LogReader.lastLines(of: path) == (120..<200).map { "line \($0)\n" }.joined())
    let long = try scratch.write("1.log", (0..<200).map { line("\($0) " + String(repeating: "z", count: 1000)) }.joined())
    let text = try LogReader.lastLines(of: long)
    #expect(text.utf8.count == 2048)
    #expect(text.hasSuffix("z\n") && text.contains("199 z"))
    #expect(try LogReader.lastLines(of: scratch.write("2.log", "")) == "")
  }

  private func next(_ iterator: inout LogReader.AsyncIterator) async throws -> String? {
    try await iterator.next().map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func follows() async throws {
    let path = try scratch.write("0.log", line("a"))
    let end = LogTestLatch()
    var log = try LogReader(path: path) { await end.wait() }.makeAsyncIterator()
    #expect(try await next(&log) == "a\n")
    // Written while the reader waits, or just before.
    async let written: Void = scratch.append("0.log", line("b"))
    #expect(try await next(&log) == "b\n")
    try await written
    // A record that is written in two goes.
    try scratch.append("0.log", "2026-03-01T12:00:00Z stdout F c")
    async let rest: Void = scratch.append("0.log", "d\n")
    #expect(try await next(&log) == "cd\n")
    try await rest
    try scratch.append("0.log", line("last"))
    end.open()
    #expect(try await next(&log) == "last\n")
    #expect(try await next(&log) == nil)
    #expect(try await next(&log) == nil)
  }

  @Test func followsOnlyTheTail() async throws {
    let path = try scratch.write("0.log", line("a") + line("b"))
    let end = LogTestLatch()
    var log = try LogReader(path: path, options: LogOptions(tailLines: 0, limitBytes: 3)) { await end.wait() }.makeAsyncIterator()
    try scratch.append("0.log", line("cdef"))
    #expect(try await next(&log) == "cde")
    // The limit ends the log although the container runs.
    #expect(try await next(&log) == nil)
  }

  @Test func followsOverRotation() async throws {
    let path = try scratch.write("0.log", line("a"))
    let end = LogTestLatch()
    var log = try LogReader(path: path) { await end.wait() }.makeAsyncIterator()
    #expect(try await next(&log) == "a\n")
    try scratch.move("0.log", "0.log.20260301-120000")
    // The engine still writes to the old file, even after it has made the new one.
    try scratch.append("0.log.20260301-120000", line("b"))
    #expect(try await next(&log) == "b\n")
    try scratch.write("0.log", "")
    try scratch.append("0.log.20260301-120000", line("c"))
    #expect(try await next(&log) == "c\n")
    try scratch.append("0.log", line("d"))
    #expect(try await next(&log) == "d\n")
    // Two rotations while the reader is busy elsewhere.
    for (round, text) in ["e", "f", "g"].enumerated() {
      if round > 0 {
        try scratch.move("0.log", "0.log.20260301-12000\(round)")
      }
      try scratch.append("0.log", line(text))
    }
    #expect(try await next(&log) == "e\n")
    #expect(try await next(&log) == "f\n")
    #expect(try await next(&log) == "g\n")
    try scratch.move("0.log", "0.log.20260301-120009")
    try scratch.write("0.log", "")
    end.open()
    #expect(try await next(&log) == nil)
  }

  @Test func followsDockersLinks() async throws {
    let target = try scratch.write("docker/c-json.log", #"{"log":"a\n","stream":"stdout","time":"2026-03-01T12:00:00Z"}"# + "\n")
    try scratch.write("pod/x", "")
    let link = scratch.path + "/pod/0.log"
    #expect(symlink(target, link) == 0)
    let end = LogTestLatch()
    var log = try LogReader(path: link) { await end.wait() }.makeAsyncIterator()
    #expect(try await next(&log) == "a\n")
    // Docker rotates beside the link's target.
    try scratch.move("docker/c-json.log", "docker/c-json.log.1")
    async let written: String = scratch.write(
      "docker/c-json.log", #"{"log":"b\n","stream":"stdout","time":"2026-03-01T12:00:01Z"}"# + "\n")
    #expect(try await next(&log) == "b\n")
    _ = try await written
    end.open()
    #expect(try await next(&log) == nil)
  }

  @Test func followsALogThatIsCutShort() async throws {
    let path = try scratch.write("0.log", line("a long first line"))
    let end = LogTestLatch()
    var log = try LogReader(path: path) { await end.wait() }.makeAsyncIterator()
    #expect(try await next(&log) == "a long first line\n")
    try scratch.write("0.log", line("b"))
    #expect(try await next(&log) == "b\n")
  }

  @Test func endsWithItsDirectory() async throws {
    let path = try scratch.write("c/0.log", line("a"))
    let never = LogTestLatch()
    var log = try LogReader(path: path) { await never.wait() }.makeAsyncIterator()
    #expect(try await next(&log) == "a\n")
    try FileSystem.removeTree(scratch.path + "/c")
    #expect(try await next(&log) == nil)
  }

  @Test func stopsWhenCancelled() async throws {
    let path = try scratch.write("0.log", line("a"))
    let never = LogTestLatch()
    let reader = try LogReader(path: path) { await never.wait() }
    let started = LogTestLatch()
    let task = Task {
      for try await _ in reader { started.open() }
    }
    await started.wait()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test func watchesOneDirectoryForMany() async throws {
    let watcher = DirectoryWatcher()
    for round in 0..<3 {
      let first = try watcher.watch(scratch.path)
      let second = try watcher.watch(scratch.path)
      try scratch.write("file", "\(round)")
      #expect(await first.change())
      #expect(await second.change())
      // All watches go: the next round begins with a new instance.
    }
    #expect(throws: FileError.self) { try watcher.watch(scratch.path + "/none") }
    #expect(throws: FileError.self) { try watcher.watch(scratch.path + "/file") }
    let again = try watcher.watch(scratch.path)
    try scratch.write("file", "again")
    #expect(await again.change())
  }
}
