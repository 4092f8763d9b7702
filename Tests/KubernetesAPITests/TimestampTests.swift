import KubernetesAPI
import Testing
import YAML

@Suite struct TimestampTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-03-01T12:00:00Z", 1_772_366_400_000_000_000),
      ("2026-03-01T12:00:00.5Z", 1_772_366_400_500_000_000),
      ("2026-03-01T13:00:00+01:00", 1_772_366_400_000_000_000), ("2026-03-01T06:30:00-05:30", 1_772_366_400_000_000_000),
      ("1969-12-31T23:59:59.999999999Z", -1), ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
      ("2024-12-31t23:59:59z", 1_735_689_599_000_000_000),
      ("2026-03-01T12:00:00.123456789123Z", 1_772_366_400_123_456_789),
    ] as [(String, Int64)])
  func parses(text: String, nanoseconds: Int64) {
    #expect(Timestamp(text)?.nanoseconds == nanoseconds)
  }

  @Test(arguments: [
    "", "2026-03-01", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "2026-03-32T12:00:00Z", "2026-03-01T24:00:00Z",
    "2026-03-01T12:60:00Z", "2026-03-01 12:00:00Z", "2026-03-01T12:00:00ZZ", "2026-03-01T12:00:00+0100", "2026-03-01T12:00:00.Z",
    "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "99999-01-01T00:00:00Z", "2026-03-01T12:00:00+24:00",
    "2026-03-01T23:59:60Z", "2026-03-01T12:00:00+01-00",
  ])
  func refuses(text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test func farTimesSaturate() {
    #expect(Timestamp("9999-12-31T23:59:59Z")?.nanoseconds == .max)
    #expect(Timestamp("0001-01-01T00:00:00Z")?.nanoseconds == .min)
    #expect(Timestamp("9999-12-31T23:59:59Z")?.description == "2262-04-11T23:47:16Z")
    #expect(Timestamp(nanoseconds: .min).description == "1677-09-21T00:12:43Z")
    #expect((Timestamp(nanoseconds: .max) + .seconds(1)).nanoseconds == .max)
    #expect(Timestamp(nanoseconds: .max) - Timestamp(nanoseconds: .min) > .seconds(18_446_744_073))
  }

  @Test func writes() {
    let time = Timestamp(nanoseconds: 1_772_366_400_123_456_789)
    #expect(time.description == "2026-03-01T12:00:00Z")
    #expect(time.rfc3339(fractionDigits: 6) == "2026-03-01T12:00:00.123456Z")
    #expect(time.rfc3339(fractionDigits: 9) == "2026-03-01T12:00:00.123456789Z")
    #expect(Timestamp(nanoseconds: -1).rfc3339(fractionDigits: 3) == "1969-12-31T23:59:59.999Z")
    #expect(time.truncatedToSeconds.nanoseconds == 1_772_366_400_000_000_000)
  }

  @Test func everyDayOfCenturiesSurvives() {
    for day in stride(from: Int64(-80_000), through: 80_000, by: 17) {
      let time = Timestamp(seconds: day * 86_400 + 86_399)
      #expect(Timestamp(time.description) == time)
    }
  }

  @Test func arithmeticAndCoding() throws {
    let time = try #require(Timestamp("2026-03-01T12:00:00Z"))
    #expect((time + .milliseconds(1500)) - time == .milliseconds(1500))
    #expect(time < time + .seconds(1))
    #expect(try JSONValue(encoding: ObjectMeta(name: "a")).decode(ObjectMeta.self).creationTimestamp == nil)
    #expect(try JSONValue(json: #"{"creationTimestamp":null}"#).decode(ObjectMeta.self).creationTimestamp == nil)
    let failure = #expect(throws: DecodingFailure.self) { try JSONValue(json: #"{"creationTimestamp":"soon"}"#).decode(ObjectMeta.self) }
    #expect(failure?.field == "creationTimestamp")
  }
}
