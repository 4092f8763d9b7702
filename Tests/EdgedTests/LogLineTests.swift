import KubernetesAPI
import Testing

@testable import Edged

@Suite struct LogLineTests {
  private static let time = "2026-03-01T12:00:00.123456789Z"

  @Test(arguments: [
    ("\(time) stdout F hello world", LogLine.Stream.stdout, false, "hello world"),
    ("\(time) stderr P part", .stderr, true, "part"),
    ("\(time) stdout F:tag:more x", .stdout, false, "x"),
    ("\(time) stdout P:tag x", .stdout, true, "x"),
    ("\(time) stdout F ", .stdout, false, ""),
    ("\(time) stdout F", .stdout, false, ""),
    ("\(time) stdout F  two  spaces ", .stdout, false, " two  spaces "),
    (#"{"log":"hello\n","stream":"stdout","time":"\#(time)"}"#, .stdout, false, "hello"),
    (#"{"log":"part","stream":"stderr","time":"\#(time)"}"#, .stderr, true, "part"),
    (#"{ "time" : "\#(time)", "stream" : "stdout", "log" : "x\n" }"#, .stdout, false, "x"),
    (
      #"{"log":"a\"\\\/\t\b\f\r\u0041\u00e9\ud83d\ude00\ud83dz\n","stream":"stdout","time":"\#(time)"}"#, .stdout, false,
      "a\"\\/\t\u{8}\u{C}\rAé😀\u{FFFD}z"
    ),
    (#"{"log":"x\n","attrs":{"a":"}","b":[1,{"c":null}],"d":true},"n":-1.5,"stream":"stdout","time":"\#(time)"}"#, .stdout, false, "x"),
  ])
  func parses(record: String, stream: LogLine.Stream, isPartial: Bool, content: String) throws {
    let line = try #require(LogLine(Array(record.utf8)[...]))
    #expect(line.stream == stream)
    #expect(line.isPartial == isPartial)
    #expect(String(decoding: line.content, as: UTF8.self) == content)
    #expect(String(decoding: line.time, as: UTF8.self) == Self.time)
  }

  @Test(arguments: [
    "", "x", "\(time)", "\(time) stdout", "\(time) stdin F x", "\(time) stdout X x", "\(time) stdout  x", "noon stdout F x", "{", "{}",
    #"{"log":"x\n"}"#, #"{"log":"x\n","stream":"stdout","time":"noon"}"#, #"{"log":"x\n","stream":"stdout","time":"\#(time)""#,
    #"{"log":"x\n","stream":"other","time":"\#(time)"}"#, #"{"log":1,"stream":"stdout","time":"\#(time)"}"#, #"{"log":"\u00"}"#,
  ])
  func refuses(record: String) {
    #expect(LogLine(Array(record.utf8)[...]) == nil)
  }

  @Test(arguments: [
    ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000000Z"),
    ("2026-03-01T12:00:00.5Z", "2026-03-01T12:00:00.500000000Z"),
    ("2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00.123456789Z"),
    ("2026-03-01T12:00:00.12+02:00", "2026-03-01T12:00:00.120000000+02:00"),
    ("2026-03-01T12:00:00-02:00", "2026-03-01T12:00:00.000000000-02:00"),
  ])
  func writesNineDigits(time: String, text: String) throws {
    let line = LogLine(time: Array(time.utf8)[...], stream: .stdout, isPartial: false, content: [])
    #expect(String(decoding: line.timestamp, as: UTF8.self) == text)
  }

  private func decode(_ text: String, piece: Int, _ decoder: LogDecoder) -> String {
    var decoder = decoder
    var output: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      decoder.append(Array(rest.prefix(piece)), to: &output)
      rest = rest.dropFirst(piece)
    }
    decoder.flush(to: &output)
    return String(decoding: output, as: UTF8.self)
  }

  private static let mixed = """
    2026-03-01T12:00:00Z stdout F one
    2026-03-01T12:00:01Z stdout P tw
    2026-03-01T12:00:02Z stdout P o-
    2026-03-01T12:00:03Z stderr F error
    2026-03-01T12:00:04Z stderr P err
    2026-03-01T12:00:05Z stdout F two
    broken
    2026-03-01T12:00:06Z stderr F or
    2026-03-01T12:00:07Z stdout F three

    """

  @Test(arguments: [1, 7, 40, 10_000])
  func joinsPartialRecords(piece: Int) {
    #expect(decode(Self.mixed, piece: piece, LogDecoder()) == "one\ntwo-two\nerror\nerror\nthree\n")
    let stamped = decode(Self.mixed, piece: piece, LogDecoder(timestamps: true))
    #expect(
      stamped == """
        2026-03-01T12:00:00.000000000Z one
        2026-03-01T12:00:01.000000000Z two-two
        2026-03-01T12:00:03.000000000Z error
        2026-03-01T12:00:04.000000000Z error
        2026-03-01T12:00:07.000000000Z three

        """)
  }

  @Test func leavesOutWhatIsOlder() throws {
    let since = try #require(Timestamp("2026-03-01T12:00:06Z"))
    #expect(decode(Self.mixed, piece: 100, LogDecoder(since: since)) == "or\nthree\n")
  }

  @Test(arguments: [(0, ""), (1, "o"), (4, "one\n"), (6, "one\ntw"), (1000, "one\ntwo-two\nerror\nerror\nthree\n")] as [(Int64, String)])
  func cutsAtTheLimit(limit: Int64, expected: String) {
    #expect(decode(Self.mixed, piece: 100, LogDecoder(limit: limit)) == expected)
  }

  @Test(arguments: [
    ("2026-03-01T12:00:00Z stdout F no newline", "no newline\n"),
    ("2026-03-01T12:00:00Z stdout P open\n", "open"),
    ("2026-03-01T12:00:00Z stdout P open\n2026-03-01T12:00:00Z stderr F x\n", "open\nx\n"),
    ("2026-03-01T12:00:00Z stdout F x\n2026-03-01T12:0", "x\n"),
  ])
  func endsWithWhatThereIs(text: String, expected: String) {
    #expect(decode(text, piece: 100, LogDecoder()) == expected)
  }

  @Test func passesLongRecordsOnInPieces() {
    let long = String(repeating: "0123456789", count: 100_000)
    let text = "2026-03-01T12:00:00Z stdout P a\n2026-03-01T12:00:01Z stdout F \(long)\n2026-03-01T12:00:02Z stderr F b\n"
    #expect(decode(text, piece: 32 << 10, LogDecoder()) == "a\(long)\nb\n")
    let json = #"{"log":"\#(long)\n","stream":"stdout","time":"2026-03-01T12:00:00Z"}"#
    #expect(decode(json + "\n" + text, piece: 32 << 10, LogDecoder()) == "a\(long)\nb\n")
  }

  @Test func doesNotHoldBackWithoutBound() {
    let line = "2026-03-01T12:00:01Z stderr F \(String(repeating: "x", count: 1000))\n"
    var decoder = LogDecoder()
    var output: [UInt8] = []
    decoder.append(Array("2026-03-01T12:00:00Z stdout P open\n".utf8), to: &output)
    for _ in 0..<100 { decoder.append(Array(line.utf8), to: &output) }
    #expect(output.count > 64_000)
    #expect(output.starts(with: "open\nxxx".utf8))
  }
}
