import Testing
import YAML

@Suite struct ScalarTests {
  @Test(
    arguments: [
      ("true", .bool(true)), ("yes", .bool(true)), ("On", .bool(true)), ("y", .bool(true)), ("off", .bool(false)), ("No", .bool(false)),
      ("FALSE", .bool(false)), ("tRuE", .string("tRuE")), ("~", .null), ("null", .null), ("Null", .null), ("nil", .string("nil")),
      ("0", .number("0")), ("12", .number("12")), ("+12", .number("12")), ("-12", .number("-12")), ("1_000", .number("1000")),
      ("0x1F", .number("31")), ("-0x10", .number("-16")), ("0o17", .number("15")), ("017", .number("15")), ("0b101", .number("5")),
      ("089", .number("89")), ("-0", .number("0")), ("18446744073709551615", .number("18446744073709551615")),
      ("123456789012345678901234567890", .number("123456789012345678901234567890")), ("1.5", .number("1.5")), ("1.50", .number("1.5")),
      (".5", .number("0.5")), ("1.", .number("1")), ("1e3", .number("1000")), ("-1.5e-3", .number("-0.0015")), ("1e", .string("1e")),
      ("1.2.3", .string("1.2.3")), ("1:30", .string("1:30")), ("2026-03-01", .string("2026-03-01")),
      ("2026-03-01T12:00:00Z", .string("2026-03-01T12:00:00Z")), ("\"1\"", .string("1")), ("'yes'", .string("yes")), ("+", .string("+")),
      ("--1", .string("--1")), ("100m", .string("100m")), ("64Mi", .string("64Mi")), ("!!str 12", .string("12")),
      ("!!int \"12\"", .number("12")),
      ("!!float 12", .number("12")), ("!!binary aGVsbG8=", .string("hello")), ("!custom 12", .string("12")), ("|\n  1\n", .string("1\n")),
      ("_1", .string("_1")), (".", .string(".")),
    ] as [(String, JSONValue)])
  func resolves(text: String, expected: JSONValue) throws {
    #expect(try YAML.documents("key: \(text)\n").first?.value == .object([.init("key", expected)]))
  }

  @Test(arguments: [".inf", "-.Inf", ".NAN", "!!int abc", "!!bool 3", "!!binary ***"])
  func refuses(text: String) {
    #expect(throws: YAMLError.self) { try YAML.documents("key: \(text)\n") }
  }

  @Test func quotedScalarIsNoMergeKey() throws {
    let value = try YAML.documents("\"<<\": {a: 1}\n").first?.value
    #expect(value?["<<"]?["a"] == .number("1"))
  }
}
