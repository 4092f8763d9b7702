import KubernetesAPI
import Testing
import YAML

@Suite struct QuantityTests {
  @Test(
    arguments: [
      ("0", 0, 0), ("1", 1000, 1), ("250m", 250, 1), ("-250m", -250, 0), ("1.5", 1500, 2), (".5", 500, 1), ("5.", 5000, 5), ("+3", 3000, 3),
      ("64Mi", 67_108_864_000, 67_108_864), ("1Gi", 1_073_741_824_000, 1_073_741_824), ("0.5Gi", 536_870_912_000, 536_870_912),
      ("1.5Ki", 1_536_000, 1536), ("2k", 2_000_000, 2000), ("3M", 3_000_000_000, 3_000_000), ("1e3", 1_000_000, 1000),
      ("1E3", 1_000_000, 1000), ("1E", 1_000_000_000_000_000_000 * 9 + 223_372_036_854_775_807, 9_223_372_036_854_776),
      ("12e-1", 1200, 2), ("1n", 1, 1), ("1u", 1, 1), ("100u", 1, 1), ("999999n", 1, 1), ("1001u", 2, 1), ("-1u", -1, 0),
      ("-1500m", -1500, -1),
      ("1e+2", 100_000, 100), ("0.001", 1, 1), ("0.0001", 1, 1), ("100T", 100_000_000_000_000_000, 100_000_000_000_000),
    ] as [(String, Int64, Int64)])
  func parses(text: String, milli: Int64, whole: Int64) throws {
    let quantity = try #require(Quantity(text))
    #expect(quantity.milliValue == milli)
    #expect(quantity.value == whole)
    #expect(quantity.text == text)
  }

  @Test(arguments: ["", "m", "Mi", ".", "-", "1 Mi", "1mi", "1KI", "1.2.3", "--1", "1K", "1e", "1ex", "abc", "0x10", "1Mi ", "٣", "1e1.5"])
  func refuses(text: String) {
    #expect(Quantity(text) == nil)
  }

  @Test func comparesByValue() throws {
    #expect(Quantity("1") == Quantity("1000m"))
    #expect(Quantity("1Ki") == Quantity("1024"))
    let (small, large) = (try #require(Quantity("1M")), try #require(Quantity("1Mi")))
    #expect(small < large)
    #expect(Set([Quantity("1"), Quantity("1000m")]).count == 1)
    #expect(Quantity(milliValue: 1500).text == "1500m")
    #expect(Quantity(milliValue: 2000).text == "2")
    #expect(Quantity(value: .max).milliValue == .max)
  }

  @Test func codes() throws {
    #expect(try JSONValue(json: #"["1.50","2",3,0.5]"#).decode([Quantity].self).map(\.text) == ["1.50", "2", "3", "0.5"])
    #expect(try JSONValue(encoding: [Quantity("0.5Gi")]) == .array([.string("0.5Gi")]))
    let failure = #expect(throws: DecodingFailure.self) {
      try JSONValue(json: #"{"limits":{"cpu":"lots"}}"#).decode(ResourceRequirements.self)
    }
    #expect(failure?.field == "limits.cpu")
  }
}
