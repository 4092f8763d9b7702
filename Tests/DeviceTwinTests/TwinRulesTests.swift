import Testing
import YAML

@testable import DeviceTwin

@Suite struct TwinRulesTests {
  @Test(arguments: [
    ("temperature", true), ("a-b_c.d,e:f/g@h#1", true), ("", false), ("with blank", false), ("ü", false), ("a%", false), ("a+b", false),
    (String(repeating: "k", count: 128), true), (String(repeating: "k", count: 129), false),
  ]) func keys(text: String, isGood: Bool) { #expect(TwinRules.isKey(text) == isGood) }

  @Test func valuesHaveFiveHundredTwelveBytes() {
    #expect(TwinRules.isValue(String(repeating: "v", count: 512)))
    #expect(!TwinRules.isValue(String(repeating: "v", count: 513)))
    #expect(!TwinRules.isValue("{}"))
  }

  @Test(
    arguments: [
      ("1", "int", nil), ("-7", "integer", nil), ("+7", "int", nil), ("1.5", "int", "the value is not int or integer"),
      ("9223372036854775808", "int", "the value is not int or integer"), ("", "int", "the value is not int or integer"),
      ("1.5", "float", nil), ("-1e3", "float", nil), ("x", "float", "the value is not float"), ("1e999", "float", "the value is not float"),
      ("true", "boolean", nil), ("True", "boolean", "the bool value must be true or false"), ("anything", "string", nil), ("x", "", nil),
      ("1", "double", "the value type is not allowed"), ("1", "bytes", "the value type is not allowed"),
    ] as [(String, String, String?)])
  func types(value: String, type: String, reason: String?) {
    var rejection: Rejection?
    do throws(Rejection) { try TwinRules.check(value, type: type) } catch { rejection = error }
    #expect(rejection?.reason == reason)
    #expect(rejection == nil || rejection?.code == 400)
  }
}
