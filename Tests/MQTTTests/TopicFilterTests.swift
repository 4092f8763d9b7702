import MQTT
import Testing

@Suite struct TopicFilterTests {
  @Test(arguments: [
    ("a/b", "a/b", true), ("a/b", "a/b/c", false), ("a/b", "a", false), ("a/+", "a/b", true), ("a/+", "a/", true), ("a/+", "a", false),
    ("a/+", "a/b/c", false), ("+/user/#", "default/user/x/y", true), ("+/user/#", "default/user", true), ("+/user/#", "$hw/user/x", false),
    ("#", "a", true), ("#", "a/b", true), ("#", "$SYS/x", false), ("$SYS/#", "$SYS/x", true), ("a/#", "a", true), ("a/#", "ab", false),
    ("+", "a", true), ("+/+", "/a", true), ("/+", "/a", true), ("/+", "a", false), ("a//b", "a//b", true),
    ("a/+/b", "a//b", true), ("$hw/events/device/+/+/twin/+", "$hw/events/device/ns/d/twin/update", true),
    ("$hw/events/device/+/+/twin/+", "$hw/events/device/ns/d/twin/update/result", false),
    ("$hw/events/device/+/twin/+", "$hw/events/device/ns/d/twin/update", false),
  ])
  func matches(filter: String, topic: String, expected: Bool) throws {
    #expect(try #require(TopicFilter(filter)).matches(topic) == expected)
  }

  @Test(arguments: ["", "a+", "a/b#", "#/a", "a/#/b", "a/+b", "a\0b", String(repeating: "x", count: 65_536)])
  func isNone(text: String) { #expect(TopicFilter(text) == nil) }

  @Test(arguments: [("a", true), ("a/b", true), ("/", true), ("", false), ("a/+", false), ("a#", false), ("a\0", false)])
  func topics(text: String, isValid: Bool) { #expect(Topic.isValid(text) == isValid) }
}
