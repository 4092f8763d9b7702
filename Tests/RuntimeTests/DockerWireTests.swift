import Foundation
import Testing

@testable import Runtime

struct DockerWireTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("0001-01-01T00:00:00Z", 0), ("", 0), ("today", 0), ("2024-02-29T12:30:45", 0),
    ("2024-02-29T12:30:45Z", 1_709_209_845_000_000_000),
    ("2026-11-21T09:50:57.212089283Z", 1_795_254_657_212_089_283),
    ("2024-02-29T12:30:45.5Z", 1_709_209_845_500_000_000),
    ("2024-02-29T13:30:45.000000001+01:00", 1_709_209_845_000_000_001),
    ("2024-02-29T04:30:45-08:00", 1_709_209_845_000_000_000),
  ])
  func readsTimes(text: String, nanoseconds: Int64) {
    #expect(DockerTimestamp.nanoseconds(text) == nanoseconds)
  }

  // MARK: Frames

  private static func frame(_ stream: UInt8, _ text: String) -> [UInt8] {
    let count = UInt32(text.utf8.count)
    return [stream, 0, 0, 0, UInt8(count >> 24), UInt8(count >> 16 & 255), UInt8(count >> 8 & 255), UInt8(count & 255)] + text.utf8
  }

  private static func texts(_ pieces: [StreamOutput]) -> [String] {
    var texts = ["", ""]
    for piece in pieces {
      switch piece {
      case .stdout(let bytes): texts[0] += String(decoding: bytes, as: UTF8.self)
      case .stderr(let bytes): texts[1] += String(decoding: bytes, as: UTF8.self)
      case .exited: Issue.record("an exit in a frame")
      }
    }
    return texts
  }

  @Test func takesFramesApartHoweverTheyArrive() throws {
    let long = String(repeating: "x", count: 700)
    let bytes = Self.frame(1, "one ") + Self.frame(2, "err") + Self.frame(1, "") + Self.frame(1, long) + Self.frame(3, "!")
    for size in 1...bytes.count {
      var decoder = DockerFrameDecoder()
      var pieces: [StreamOutput] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        pieces += try decoder.decode(Array(bytes[start..<min(start + size, bytes.count)]))
      }
      #expect(Self.texts(pieces) == ["one " + long, "err!"])
      #expect(!decoder.isMidFrame)
    }
  }

  @Test func handsOnWhatIsThereOfAFrame() throws {
    var decoder = DockerFrameDecoder()
    #expect(Self.texts(try decoder.decode(Array(Self.frame(1, "prompt> more").prefix(16)))) == ["prompt> ", ""])
    #expect(decoder.isMidFrame)
  }

  @Test func rejectsUnknownStreams() {
    var decoder = DockerFrameDecoder()
    #expect(throws: DockerFrameDecoder.Malformed.self) { try decoder.decode([4, 0, 0, 0, 0, 0, 0, 1, 65]) }
  }

  // MARK: Lines

  @Test func splitsLinesHoweverTheyArrive() throws {
    let bytes = Array("{\"a\":1}\r\n\n{\"b\":2}\n{\"c\"".utf8)
    for size in 1...bytes.count {
      var lines = DockerLines()
      var found: [String] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        found += try lines.split(Array(bytes[start..<min(start + size, bytes.count)])).map { String(decoding: $0, as: UTF8.self) }
      }
      #expect(found == ["{\"a\":1}", "{\"b\":2}"])
      #expect(lines.last == Array("{\"c\"".utf8))
    }
  }

  @Test func boundsLines() {
    var lines = DockerLines()
    #expect(throws: DockerLines.TooLong.self) { try lines.split([UInt8](repeating: 32, count: DockerLines.limit + 1)) }
  }

  // MARK: Pulls

  @Test(arguments: [
    (#"{"errorDetail":{"message":"manifest for busybox:9 not found: manifest unknown"},"error":"x"}"#, RuntimeError.Code.notFound),
    (#"{"error":"pull access denied for secret"}"#, .permissionDenied),
    (#"{"errorDetail":{"message":"unauthorized: incorrect username or password"}}"#, .unauthenticated),
    (#"{"errorDetail":{"message":"write /var: no space left on device"}}"#, .resourceExhausted),
    (#"{"error":"boom"}"#, .unknown),
  ])
  func findsTheFailureOfAPull(line: String, code: RuntimeError.Code) {
    for text in ["{\"status\":\"Pulling\"}\r\n\(line)\r\n{\"status\":\"x\"}\n", line] {
      let error = #expect(throws: RuntimeError.self) {
        var pull = DockerPull()
        for byte in text.utf8 { try pull.read([byte]) }
        try pull.finish()
      }
      #expect(error?.code == code)
      #expect(error?.operation == "PullImage")
    }
  }

  @Test func acceptsASuccessfulPull() throws {
    var pull = DockerPull()
    try pull.read(Array("{\"status\":\"Pulling from library/busybox\",\"id\":\"1.36\"}\r\n{\"status\":\"Downloaded\"}".utf8))
    try pull.finish()
  }

  // MARK: Events

  @Test(arguments: [
    (#"{"Action":"start","Actor":{"ID":"c1","Attributes":{}}}"#, RuntimeEvent.started(containerID: "c1")),
    (#"{"Action":"die","Actor":{"ID":"c1","Attributes":{"exitCode":"137"}}}"#, .exited(containerID: "c1", exitCode: 137)),
    (#"{"Action":"oom","Actor":{"ID":"c1","Attributes":null}}"#, .outOfMemory(containerID: "c1")),
    (#"{"Action":"destroy","Actor":{"ID":"c1"}}"#, .removed(containerID: "c1")),
    (#"{"Action":"exec_start: sh","Actor":{"ID":"c1"}}"#, nil),
  ])
  func readsEvents(line: String, event: RuntimeEvent?) throws {
    #expect(try DockerRuntime.event(Array(line.utf8)) == event)
  }

  @Test func refusesEventsThatCannotBeRead() {
    #expect(throws: RuntimeError.self) { try DockerRuntime.event(Array("{".utf8)) }
  }

  // MARK: Errors and requests

  @Test(arguments: [
    (400, "bad", RuntimeError.Code.invalidArgument), (404, "No such container: x", .notFound),
    (409, #"Conflict. The container name "/x" is already in use by container "1"."#, .alreadyExists),
    (409, "Container x is not running", .failedPrecondition), (500, "boom", .internalError),
    (500, "Get https://r/v2/: unauthorized: no", .unauthenticated), (503, "", .unavailable), (418, "", .unknown),
  ])
  func mapsErrors(status: Int, message: String, code: RuntimeError.Code) throws {
    let body = try JSONEncoder().encode(["message": message])
    let error = RuntimeError(docker: .init(status: status, body: Array(body)), operation: "StartContainer")
    #expect(error.code == code)
    #expect(error.operation == "StartContainer")
    #expect(message.isEmpty || error.message == message)
    #expect(!error.message.isEmpty)
  }

  @Test func keepsAnErrorThatIsNoJSON() {
    #expect(RuntimeError(docker: .init(status: 500, body: Array("oops".utf8)), operation: "X").message == "oops")
  }

  @Test func findsTheHolderOfAName() {
    let id = String(repeating: "0a", count: 32)
    let message = "Conflict. The container name \"/b1\" is already in use by container \"\(id)\". You have to remove"
    #expect(DockerRuntime.conflictingID(message) == id)
    #expect(DockerRuntime.conflictingID("something else") == nil)
  }

  @Test func encodesTargets() {
    let target = DockerURL.target("/images/a b/json", [("filters", #"{"label":["a=ü"]}"#), ("t", "1")])
    #expect(target == "/images/a%20b/json?filters=%7B%22label%22%3A%5B%22a%3D%C3%BC%22%5D%7D&t=1")
    #expect(DockerURL.target("/images/r:5000/a@sha256:1/json", []) == "/images/r:5000/a@sha256:1/json")
  }

  @Test func comparesVersions() throws {
    #expect(try #require(DockerAPIVersion("1.9")) < DockerAPI.oldestVersion)
    #expect(try #require(DockerAPIVersion("1.100")) > DockerAPI.oldestVersion)
    #expect(DockerAPIVersion("1") == nil)
  }

  // MARK: Stats

  @Test(arguments: [
    (#"{"usage":1000,"stats":{"rss":1,"total_rss":70,"inactive_file":1,"total_inactive_file":300,"total_pgfault":5}}"#, 700, 70, 5),
    (#"{"usage":1000,"stats":{"anon":80,"inactive_file":400,"pgfault":6}}"#, 600, 80, 6),
    (#"{"usage":100,"stats":{"inactive_file":400}}"#, 0, 0, 0),
  ])
  func computesUsage(memory: String, workingSet: UInt64, rss: UInt64, faults: UInt64) throws {
    let text = #"{"read":"2024-02-29T12:30:45Z","cpu_stats":{"cpu_usage":{"total_usage":25}},"memory_stats":\#(memory)}"#
    let usage = try #require(DockerUsage.stats(try JSONDecoder().decode(DockerStats.self, from: Data(text.utf8))))
    #expect(usage.cpu.usageCoreNanoSeconds.value == 25)
    #expect(usage.cpu.timestamp == 1_709_209_845_000_000_000)
    #expect(usage.memory.workingSetBytes.value == workingSet)
    #expect(usage.memory.rssBytes.value == rss)
    #expect(usage.memory.pageFaults.value == faults)
  }

  @Test func hasNoUsageOfWhatDoesNotRun() throws {
    let text = #"{"read":"0001-01-01T00:00:00Z","cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#
    #expect(DockerUsage.stats(try JSONDecoder().decode(DockerStats.self, from: Data(text.utf8))) == nil)
  }
}
