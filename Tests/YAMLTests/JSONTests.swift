import Testing
import YAML

@Suite struct JSONTests {
  @Test(arguments: [
    "null", "true", "[]", "{}", "0", "-1.50e+10", "\"\"", "[1,[2,{\"a\":null}]]", "{\"b\":1,\"a\":\"x\"}",
    "123456789012345678901234567890", "\"\\\"\\\\\\n\\u0001\"", "\"é😀\"",
  ])
  func textSurvives(text: String) throws {
    #expect(try JSONValue(json: text).jsonText() == text)
  }

  @Test(arguments: [
    "", "nul", "tru e", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}", "01", "1.", ".5", "-", "1e", "+1", "\"a", "\"\\x\"",
    "\"\\u12G4\"", "\"\n\"", "[1] 2", "\"\\", "NaN",
  ])
  func refuses(text: String) {
    #expect(throws: JSONSyntaxError.self) { try JSONValue(json: text) }
    #expect(throws: JSONSyntaxError.self) { try JSONScan.members(of: Array("{\"k\":\(text)}".utf8)) }
  }

  @Test func escapes() throws {
    #expect(try JSONValue(json: #""\b\f\n\r\t\/\u0041\u00e9\uD83D\uDE00""#) == .string("\u{8}\u{C}\n\r\t/Aé😀"))
    #expect(try JSONValue(json: #""\ud83d!""#) == .string("\u{FFFD}!"))
    #expect(try JSONValue(json: #""\udc00\ud83dx""#) == .string("\u{FFFD}\u{FFFD}x"))
  }

  @Test func lastDuplicateWinsAlsoInLargeObjects() throws {
    #expect(try JSONValue(json: #"{"a":1,"b":2,"a":3}"#) == .object([.init("a", .number("3")), .init("b", .number("2"))]))
    let many = (0..<40).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
    let value = try JSONValue(json: "{\(many),\"k3\":\"x\",\"k39\":\"y\"}")
    #expect(value.object?.count == 40)
    #expect(value["k3"] == .string("x"))
    #expect(value["k39"] == .string("y"))
    #expect(throws: JSONSyntaxError.self) { try JSONValue(json: Array("{\(many),\"k39\":1}".utf8), duplicates: .refused) }
  }

  @Test func prettyText() throws {
    let value = try JSONValue(json: #"{"a":[1,{}],"b":{"c":[]}}"#)
    #expect(
      value.jsonText(pretty: true) == """
        {
          "a": [
            1,
            {}
          ],
          "b": {
            "c": []
          }
        }
        """)
    #expect(try JSONValue(json: value.jsonText(pretty: true)) == value)
  }

  @Test func membersAreFoundWithoutBeingRead() throws {
    let text = " { \"a\" : [1, \"]\\\"\"] , \"b\":{\"x\": {}} ,\"c\":-1.5 } "
    let bytes = Array(text.utf8)
    let members = try JSONScan.members(of: bytes).map { ($0.key, String(decoding: bytes[$0.value], as: UTF8.self)) }
    #expect(members.map(\.0) == ["a", "b", "c"])
    #expect(members.map(\.1) == ["[1, \"]\\\"\"]", "{\"x\": {}}", "-1.5"])
    #expect(try JSONScan.members(of: Array("{}".utf8)).isEmpty)
    #expect(throws: JSONSyntaxError.self) { try JSONScan.members(of: Array("[]".utf8)) }
  }

  /// Whatever a JSON value holds, both writers keep it, and YAML reads it back as the same.
  @Test func randomValuesSurviveBothWriters() throws {
    var generator = SystemRandomNumberGenerator()
    let strings = [
      "", " ", "a", "yes", "12", "0x1", "1e3", "- a", "-a", "a: b", "a #b", "#", "é", "°", "\u{80}", "\u{85}", "\u{FFFF}", "\u{2028}",
      "\u{FEFF}", "\n", "a\nb", "\t",
      "'", "\"", "\\", "&x", "*x", "!x", "%x", "@x", "`", "<<", "~", "null", ".inf", "{", "}", "[a", "a,b", "key:", "|", ">", "=", "?",
      "? a", "---", "...", "2026-01-01", "😀", "\u{1}", "\u{7F}", "-", "--", ":",
    ]
    func value(_ depth: Int) -> JSONValue {
      switch Int.random(in: 0..<(depth > 3 ? 5 : 8), using: &generator) {
      case 0: .null
      case 1: .bool(.random(using: &generator))
      case 2: .number(String(Int64.random(in: .min ... .max, using: &generator)))
      case 3, 4: .string(strings.randomElement(using: &generator) ?? "")
      case 5, 6:
        .object(
          Set((0..<Int.random(in: 0...4, using: &generator)).compactMap { _ in strings.randomElement(using: &generator) })
            .map { .init($0, value(depth + 1)) })
      default: .array((0..<Int.random(in: 0...4, using: &generator)).map { _ in value(depth + 1) })
      }
    }
    for _ in 0..<2000 {
      let original = value(0)
      if try JSONValue(json: original.jsonText()) != original { Issue.record("not read back: \(original.jsonText())") }
      let text = YAML.text(original)
      // Not in one expectation with a comment: comments are made also when nothing is wrong, which takes its time here.
      let read = try? YAML.documents(text).map(\.value)
      if read != [original] { Issue.record("not read back: \(text)") }
    }
  }

  @Test func yamlTextWithComments() throws {
    let value = try JSONValue(json: #"{"a":{"b":[{"c":1,"d":[]}],"e":"yes"},"f":[[1]]}"#)
    let text = YAML.text(value) { $0.dotted == "a" ? "first\n\nsecond" : $0.dotted == "a.e" ? "third" : nil }
    #expect(
      text == """
        # first
        #
        # second
        a:
          b:
          - c: 1
            d: []
          # third
          e: "yes"
        f:
        -
          - 1

        """)
  }
}
