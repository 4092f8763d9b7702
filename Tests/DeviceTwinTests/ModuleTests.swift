import Core
import Testing
import YAML

@testable import DeviceTwin

/// The module with its neighbours.
@Suite(.timeLimit(.minutes(2))) struct ModuleTests {
  private static let objects = [
    "default/devicemodel/thermo": ModuleFixture.model, "default/device/t1": ModuleFixture.device("t1", version: 5, desired: "auto"),
  ]
  private static let update = "$hw/events/device/default/t1/twin/update"

  @Test func whatTheCloudMissedIsToldWhenItIsBack() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the device is there") { fixture.publications.count >= 3 }
      try await fixture.channel.send(CloudConnection.disconnected.message, to: .twin)
      for value in 0..<50 { try await fixture.mqtt(Self.update, #"{"twin":{"mode":{"actual":{"value":"\#(value)"}}}}"#) }
      try await fixture.until("all are answered") { fixture.publications.filter { $0.topic == Self.update + "/result" }.count == 50 }
      let before = fixture.reports.filter { $0.resource.hasSuffix("edge_updated") }.count
      try await fixture.channel.send(CloudConnection.connected.message, to: .twin)
      try await fixture.until("the newest is told") {
        fixture.reports.last { $0.resource.hasSuffix("edge_updated") }.map {
          String(decoding: $0.content, as: UTF8.self).contains(#""49""#)
        } == true
      }
      // Once more, as it is told for the first time; but not all that was between.
      #expect(fixture.reports.filter { $0.resource.hasSuffix("edge_updated") }.count - before <= 3)
    }
  }

  @Test func whatTheCloudDoesNotConfirmIsToldByTheNextConnection() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the device is there") { fixture.publications.count >= 3 }
      fixture.confirms.withLock { $0 = false }
      try await fixture.mqtt(Self.update, #"{"twin":{"mode":{"actual":{"value":"1"}}}}"#)
      try await fixture.until("it is told") { fixture.reports.contains { $0.resource.hasSuffix("edge_updated") } }
      try await fixture.channel.send(CloudConnection.disconnected.message, to: .twin)
      for report in fixture.reports where report.header.sync {
        fixture.channel.respond(to: report, with: .reply(to: report, operation: .error, content: MetadataError(.offline, "gone").content))
      }
      fixture.confirms.withLock { $0 = true }
      let before = fixture.reports.count
      try await fixture.channel.send(CloudConnection.connected.message, to: .twin)
      try await fixture.until("it is told again") { fixture.reports.dropFirst(before).contains { $0.resource.hasSuffix("edge_updated") } }
    }
  }

  @Test func aThousandMessagesInARowAreEachAnsweredInOrder() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the device is there") { fixture.publications.count >= 3 }
      for number in 0..<1000 {
        let payload = number % 10 == 3 ? "rubbish" : #"{"event_id":"\#(number)","twin":{"mode":{"actual":{"value":"\#(number)"}}}}"#
        try await fixture.mqtt(Self.update, payload)
      }
      try await fixture.until("all are answered") { fixture.publications.filter { $0.topic == Self.update + "/result" }.count == 1000 }
      let answers = fixture.publications.filter { $0.topic == Self.update + "/result" }
      let ids = answers.compactMap { $0.json["code"] == nil ? $0.json["event_id"]?.string.flatMap { Int($0) } : nil }
      #expect(ids == (0..<1000).filter { $0 % 10 != 3 })
      #expect(answers.filter { $0.json["code"]?.int == 400 }.count == 100)
    }
  }

  /// Whatever comes as a message: it is skipped, and the next one counts.
  @Test func messagesThatMeanNothingAreSkipped() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the device is there") { fixture.publications.count >= 3 }
      for topic in [
        "", "/", "$hw", "$hw/events/device", "$hw/events/device/", "$hw/events/device/a/b/twin/#", "$hw/events/device/+/+/twin/update",
        "$hw/events/node/x/membership/updated", "$hw/events/connected/x", String(repeating: "/", count: 65_000),
      ] {
        try await fixture.mqtt(topic, #"{"twin":{"mode":{"actual":{"value":"1"}}}}"#)
      }
      for (source, resource) in [
        ("devicecontroller", "membership"), ("devicecontroller", "twin"), ("nobody", "x"), ("edgemgr", "membership/detail"),
      ] {
        try await fixture.channel.send(
          Message(route: .init(source: source, group: "twin", operation: .update, resource: resource), content: Array("[1".utf8)), to: .twin
        )
      }
      try await fixture.mqtt("$hw/events/node/edge-1/membership/get", #"{"event_id":"m"}"#)
      try await fixture.until("the next one is answered") {
        fixture.publications.last?.topic == "$hw/events/node/edge-1/membership/get/result"
      }
      let devices = fixture.publications.last?.json["devices"]?.array
      #expect(devices?.compactMap { $0["id"]?.string } == ["default/t1"] && devices?.first?["twin"] == nil)
    }
  }

  @Test(
    arguments: [
      ("$hw/events/device/ns/name/twin/update", DeviceTopic.device(id: "ns/name", .twinUpdate)),
      ("$hw/events/device/name/twin/get", .device(id: "name", .twinGet)),
      // Names that are words of topics themselves.
      ("$hw/events/device/twin/update/twin/update", .device(id: "twin/update", .twinUpdate)),
      ("$hw/events/device/device/dev/state/update", .device(id: "device/dev", .stateUpdate)),
      ("$hw/events/device/state/update", nil), ("$hw/events/node/any/membership/get", .membershipGet),
      ("$hw/events/device/a/b/c/twin/update", nil), ("x/events/device/a/b/twin/update", nil),
    ] as [(String, DeviceTopic?)])
  func topics(text: String, topic: DeviceTopic?) { #expect(DeviceTopic(text) == topic) }
}
