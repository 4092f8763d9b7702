import Core
import Glibc
import Logging
import Testing
import YAML

@Suite struct LoggingTests {
  /// What loggers wrote while `body` ran.
  private func lines(_ format: LineLogHandler.Format, levels: LogLevels = LogLevels(), _ body: ((String) -> Logger) -> Void) -> [String] {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { return [] }
    let descriptor = pipes[1]
    body { label in Logger(label: label) { LineLogHandler(label: $0, format: format, levels: levels, descriptor: descriptor) } }
    close(pipes[1])
    defer { close(pipes[0]) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = read(pipes[0], &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test func textLines() throws {
    let lines = lines(.text) { make in
      var logger = make("edged.probes")
      logger[metadataKey: "pod"] = "default/web"
      logger.info("probe failed", metadata: ["code": "\(500)", "why": "not ready\nreally", "empty": "", "token": "s3cret"])
      logger.warning("two\nlines \"quoted\" \\ and \u{1B}[31m")
      logger.debug("not shown")
    }
    #expect(lines.count == 2)
    let first = try #require(lines.first)
    #expect(first.prefix(11).last == "T")
    #expect(
      first.dropFirst(23)
        == #"Z INFO  edged.probes: probe failed code=500 empty="" pod=default/web token=******** why="not ready\nreally""#)
    #expect(!lines.joined().contains("s3cret"))
    #expect(lines[1].contains(#"WARN  edged.probes: two\nlines "quoted" \ and \x1b[31m pod=default/web"#))
    let time = Array(first.prefix(24))
    #expect([4, 7].allSatisfy { time[$0] == "-" } && [13, 16].allSatisfy { time[$0] == ":" } && time[19] == "." && time[23] == "Z")
  }

  @Test func jsonLines() throws {
    let lines = lines(.json) { make in
      make("edged").error("it \"broke\"\n", metadata: ["list": ["a", "b"], "map": ["password": "s3cret", "x": "1"], "level": "mine"])
    }
    let value = try JSONValue(json: try #require(lines.first))
    #expect(value["level"] == .string("error"))
    #expect(value["logger"] == .string("edged"))
    #expect(value["message"] == .string("it \"broke\"\n"))
    #expect(value["list"] == .array([.string("a"), .string("b")]))
    #expect(value["map"]?["password"] == .string("********"))
    #expect(value["map"]?["x"] == .string("1"))
    #expect(value["level_"] == .string("mine"))
    #expect(value["time"]?.string?.hasSuffix("Z") == true)
  }

  @Test func levelsChangeWhileLoggersLive() {
    let levels = LogLevels(.info, levels: ["edged": .debug])
    let lines = lines(.text, levels: levels) { make in
      let (edged, other) = (make("edged.pods"), make("hub"))
      var own = make("hub")
      own.logLevel = .trace
      edged.debug("1")
      edged.trace("no")
      other.debug("no")
      levels.set(.trace, for: "edged")
      edged.trace("2")
      levels.standard = .debug
      other.debug("3")
      levels.set(nil, for: "edged")
      edged.trace("no")
      edged.debug("4")
      own.trace("5")
      levels.set(.error, for: "hub")
      other.warning("no")
    }
    #expect(lines.map { $0.suffix(1) } == ["1", "2", "3", "4", "5"])
  }
}
