import Testing
import YAML

@testable import DeviceTwin

/// What the cloud says and is told.
@Suite struct DeviceCloudTests {
  private let id = DeviceID("default/thermo-1")

  private func wishes(_ desired: [String: String?], type: String? = nil) -> DeviceWishes {
    DeviceWishes(properties: desired.mapValues { .init(desired: $0, type: type) })
  }

  private func local(_ fixture: BookFixture, _ twin: String) async { await fixture.send(.twinUpdate, #"{"twin":\#(twin)}"#) }

  @Test func aWishBecomesTheExpectedValueAndIsTold() async throws {
    let fixture = try await BookFixture.withDevice()
    var outcome = await fixture.book.take([.object(id, wishes(["mode": "auto", "speed": nil], type: "string"), version: 100)])
    let seen = outcome.publications.map(BookFixture.Publication.init)
    #expect(seen.map(\.topic) == ["document", "delta"].map { "$hw/events/device/default/thermo-1/twin/update/" + $0 })
    #expect(seen.last?.json["delta"]?.jsonText() == #"{"mode":"auto"}"#)
    // Nothing that the cloud doesn't know.
    #expect(outcome.indebted.isEmpty)
    let twin = await fixture.book.devices[id]?.twins["mode"]
    #expect(twin?.expectedVersion == Twin.Version(cloud: 100, edge: 0) && twin?.desired == "auto")
    // Again the same: nothing is new.
    outcome = await fixture.book.take([.object(id, wishes(["mode": "auto", "speed": nil]), version: 101)])
    #expect(outcome.publications.isEmpty)
  }

  @Test func theSideThatChangedWinsAndTheCloudIfBothDid() async throws {
    let fixture = try await BookFixture.withDevice()
    func expected() async -> String? { await fixture.book.devices[id]?.twins["mode"]?.expected?.text }
    _ = await fixture.book.take([.object(id, wishes(["mode": "auto"]), version: 1)])
    // The edge alone: it stays, though the object comes again.
    await local(fixture, #"{"mode":{"expected":{"value":"hand"}}}"#)
    _ = await fixture.book.take([.object(id, wishes(["mode": "auto"]), version: 2)])
    #expect(await expected() == "hand")
    let report = try #require(await fixture.book.report(of: id))
    let told = try JSONValue(json: try #require(report.messages.first).content)["twin"]
    #expect(told?["mode"]?["expected"]?["value"] == .string("hand"))
    // Both: the cloud's wish is what counts.
    _ = await fixture.book.take([.object(id, wishes(["mode": "off"]), version: 3)])
    #expect(await expected() == "off")
    // Actual values are the edge's alone.
    await local(fixture, #"{"mode":{"actual":{"value":"hand"}}}"#)
    _ = await fixture.book.take([.object(id, wishes(["mode": "auto"]), version: 4)])
    #expect(await fixture.book.devices[id]?.twins["mode"]?.actual?.text == "hand")
    // A wish that is taken back leaves what is expected.
    _ = await fixture.book.take([.object(id, wishes(["mode": nil]), version: 5)])
    #expect(await expected() == "auto")
    #expect(await fixture.book.devices[id]?.twins["mode"]?.desired == nil)
  }

  @Test(arguments: [
    (#"{"actual":{"value":"21"}}"#, "int"), (#"{"actual":{"value":"21.5"}}"#, "string"),
    (#"{"actual":{"value":"21.5"},"metadata":{"type":"float"}}"#, "float"),
  ]) func theEdgeSaysWhatAPropertyIsThatOnlyTheCloudKnew(patch: String, type: String) async throws {
    let fixture = try await BookFixture.withDevice()
    _ = await fixture.book.take([.object(id, wishes(["t": "20"], type: "int"), version: 1)])
    await local(fixture, #"{"t":\#(patch)}"#)
    let twin = await fixture.book.devices[id]?.twins["t"]
    #expect(twin?.type == type && twin?.actual != nil && twin?.expected?.text == "20")
    await local(fixture, #"{"t":{"actual":{"value":"true"},"metadata":{"type":"boolean"}}}"#)
    #expect(await fixture.book.devices[id]?.twins["t"]?.type == type)
  }

  @Test func withoutAWordThePropertysModelSaysItsTypeAndRefusesNothing() async throws {
    let fixture = try await BookFixture.withDevice()
    _ = await fixture.book.take([.object(id, wishes(["t": nil, "u": nil], type: "int"), version: 1)])
    for (value, type) in [("21", "int"), ("22", "int"), ("22.5", "string"), ("23", "string")] {
      await local(fixture, #"{"t":{"actual":{"value":"\#(value)"}}}"#)
      let twin = await fixture.book.devices[id]?.twins["t"]
      #expect(twin?.type == type && twin?.actual?.text == value)
    }
    // What the edge has named counts.
    await local(fixture, #"{"u":{"actual":{"value":"1"},"metadata":{"type":"int"}}}"#)
    await local(fixture, #"{"u":{"actual":{"value":"1.5"}}}"#)
    #expect(await fixture.book.devices[id]?.twins["u"]?.actual?.text == "1")
    let before = await fixture.book.devices[id]?.twins
    #expect(try await fixture.reopened().devices[id]?.twins == before)
  }

  @Test func aModelThatComesLaterSaysTheTypes() async throws {
    let fixture = try await BookFixture.withDevice()
    _ = await fixture.book.take([.object(id, wishes(["t": "20", "u": nil]), version: 1)])
    #expect(await fixture.book.devices[id]?.twins["t"]?.type == "string")
    let outcome = await fixture.book.take([.object(id, wishes(["t": "20", "u": nil], type: "int"), version: 1)])
    #expect(outcome.publications.isEmpty)
    await local(fixture, #"{"t":{"actual":{"value":"21"}},"u":{"actual":{"value":"1"}}}"#)
    let twins = await fixture.book.devices[id]?.twins
    #expect(twins?["t"]?.type == "int" && twins?["u"]?.type == "int")
  }

  @Test func aWishThatIsTakenBackBringsNothingBack() async throws {
    let fixture = try await BookFixture.withDevice()
    _ = await fixture.book.take([.object(id, wishes(["t": "20"]), version: 1)])
    await local(fixture, #"{"t":null}"#)
    let outcome = await fixture.book.take([.object(id, wishes(["t": nil]), version: 2)])
    let twin = await fixture.book.devices[id]?.twins["t"]
    #expect(outcome.publications.isEmpty && twin?.isDeleted == true && twin?.desired == nil)
  }

  @Test func onlyWhatWasToldIsPaid() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"actual":{"value":"1"}}}"#)
    for _ in 0..<2 { await fixture.book.confirm(try #require(await fixture.book.report(of: id))) }
    #expect(await fixture.book.report(of: id) == nil)
    await local(fixture, #"{"a":{"actual":{"value":"2"}}}"#)
    let report = try #require(await fixture.book.report(of: id))
    // No version tells of this.
    await local(fixture, #"{"a":{"optional":false}}"#)
    #expect(await fixture.book.confirm(report))
    let next = try #require(await fixture.book.report(of: id))
    #expect(String(decoding: try #require(next.messages.first).content, as: UTF8.self).contains(#""optional":false"#))
    #expect(await !fixture.book.confirm(next))
  }

  @Test func countingEndsAtNoNumber() async throws {
    let fixture = try await BookFixture.withDevice()
    let version = #"{"cloud":9223372036854775807,"edge":9223372036854775807}"#
    await fixture.send(
      .twinCloudUpdated,
      #"{"twin":{"a":{"expected":{"value":"1"},"actual":{"value":"1"},"expected_version":\#(version),"actual_version":\#(version)}}}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.actualVersion?.edge == .max)
    for value in ["2", "3"] {
      await local(fixture, #"{"a":{"expected":{"value":"\#(value)"},"actual":{"value":"\#(value)"}}}"#)
      #expect(await fixture.book.devices[id]?.twins["a"]?.actual?.text == value)
    }
    _ = await fixture.book.take([.object(id, wishes(["a": "4"]), version: 9)])
    #expect(await fixture.book.devices[id]?.twins["a"]?.expected?.text == "4")
    await local(fixture, #"{"a":null}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.isDeleted == true)
  }

  @Test func aDeviceObjectMakesTheDeviceAndTakesItAway() async throws {
    let fixture = try BookFixture()
    try await fixture.book.open()
    var outcome = await fixture.book.take([.object(id, wishes([:]), version: 1)])
    #expect(outcome.publications.map(\.topic) == ["$hw/events/node/edge-1/membership/updated"])
    let again = try await fixture.reopened()
    #expect(await again.strays([]) == [id])
    #expect(await again.strays([id]) == [])
    outcome = await again.take([.noObject(id)])
    let gone = outcome.publications.map(BookFixture.Publication.init)
    #expect(gone.first?.json["added_devices"] == .null && gone.first?.json["removed_devices"]?.array?.count == 1)
    #expect(await again.devices.isEmpty)
  }

  @Test func debtsArePaidByTheConfirmationOfWhatWasTold() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"actual":{"value":"1"}}}"#)
    let first = try #require(await fixture.book.report(of: id))
    await local(fixture, #"{"a":{"actual":{"value":"2"}}}"#)
    await fixture.book.confirm(first)
    // What changed since is owed, and told for the first time is told twice.
    let second = try #require(await fixture.book.report(of: id))
    let told = try JSONValue(json: try #require(second.messages.first).content)["twin"]
    #expect(told?["a"]?["actual"]?["value"] == .string("2"))
    await fixture.book.confirm(second)
    #expect(await fixture.book.report(of: id) == nil)
    let again = try await fixture.reopened()
    #expect(await again.debts.isEmpty)
  }

  @Test func whatWasConfirmedIsWrittenDownAtTheNextOccasion() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"actual":{"value":"1"}}}"#)
    func owedAfterPowerCut() async throws -> Bool {
      let other = try BookFixture.makeBook(fixture.directory)
      try await other.open()
      return await !other.debts.isEmpty
    }
    for _ in 0..<2 { await fixture.book.confirm(try #require(await fixture.book.report(of: id))) }
    #expect(await fixture.book.debts.isEmpty)
    #expect(try await owedAfterPowerCut())
    #expect(await fixture.book.flush().isEmpty)
    #expect(try await !owedAfterPowerCut())
  }

  @Test func whatWasConfirmedAndCannotBeWrittenDownIsOwedAgain() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"actual":{"value":"1"}}}"#)
    await fixture.book.confirm(try #require(await fixture.book.report(of: id)))
    await fixture.book.close()
    await fixture.book.confirm(try #require(await fixture.book.report(of: id)))
    #expect(await fixture.book.debts.isEmpty)
    let outcome = await fixture.book.take([.device(id: id.text, .stateUpdate, payload: Array(#"{"state":"ok"}"#.utf8))])
    #expect(outcome.indebted == [id])
    #expect(await fixture.book.report(of: id) != nil)
  }

  @Test func theFirstReportOfAPropertyIsRepeatedOnce() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"actual":{"value":"1"}}}"#)
    for round in 0..<2 {
      let report = try #require(await fixture.book.report(of: id), "round \(round)")
      await fixture.book.confirm(report)
    }
    #expect(await fixture.book.report(of: id) == nil)
    await local(fixture, #"{"a":{"actual":{"value":"2"}}}"#)
    await fixture.book.confirm(try #require(await fixture.book.report(of: id)))
    #expect(await fixture.book.report(of: id) == nil)
  }

  @Test func oneReportTellsTheNewestOfAllProperties() async throws {
    let fixture = try await BookFixture.withDevice()
    for value in 0..<20 { await local(fixture, #"{"a":{"actual":{"value":"\#(value)"}},"b\#(value % 3)":{"actual":{"value":"x"}}}"#) }
    await fixture.send(.stateUpdate, #"{"state":"unhealthy"}"#)
    let report = try #require(await fixture.book.report(of: id))
    #expect(report.messages.map(\.resource) == ["device/default/thermo-1/twin/edge_updated", "device/default/thermo-1/state/update"])
    let twins = try JSONValue(json: report.messages[0].content)["twin"]
    #expect(twins?.object?.map(\.key) == ["a", "b0", "b1", "b2"] && twins?["a"]?["actual"]?["value"] == .string("19"))
    // The state goes as the text of its JSON; a bad one has no time.
    let state = try JSONValue(json: try #require(try JSONValue(json: report.messages[1].content).string))
    #expect(state["device"]?.jsonText() == #"{"name":"thermo-1","state":"unhealthy"}"#)
  }

  @Test func mappersObserveButDoNotWish() async throws {
    let fixture = try await BookFixture.withDevice()
    _ = await fixture.book.take([.object(id, wishes(["mode": "auto"]), version: 1)])
    let payload = Array(#"{"twin":{"mode":{"expected":{"value":"hand"},"actual":{"value":"hand"}}}}"#.utf8)
    _ = await fixture.book.take([.device(id: id.text, .twinUpdate, payload: payload, isFromMapper: true)])
    let twin = await fixture.book.devices[id]?.twins["mode"]
    #expect(twin?.expected?.text == "auto" && twin?.actual?.text == "hand")
    // What somebody at the edge wishes stays, though the mapper still has the cloud's wish.
    await local(fixture, #"{"mode":{"expected":{"value":"edge"}}}"#)
    let older = Array(#"{"twin":{"mode":{"expected":{"value":"auto"},"actual":{"value":"auto"}}}}"#.utf8)
    _ = await fixture.book.take([.device(id: id.text, .twinUpdate, payload: older, isFromMapper: true)])
    #expect(await fixture.book.devices[id]?.twins["mode"]?.expected?.text == "edge")
  }

  // MARK: Clouds of 2019

  private func synchronise(_ fixture: BookFixture, _ twin: String) async -> DeviceBook.Outcome {
    await fixture.book.take([.device(id: id.text, .twinCloudUpdated, payload: Array(#"{"event_id":"c","twin":\#(twin)}"#.utf8))])
  }

  @Test func anOlderVersionOfTheCloudIsRefusedAndToldOurs() async throws {
    let fixture = try await BookFixture.withDevice()
    await local(fixture, #"{"a":{"expected":{"value":"edge"}}}"#)
    _ = await fixture.book.take([])
    var outcome = await synchronise(
      fixture, #"{"a":{"expected":{"value":"cloud"},"metadata":{"type":"string"},"expected_version":{"cloud":5,"edge":0}}}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.expected?.text == "edge")
    outcome = await synchronise(
      fixture, #"{"a":{"expected":{"value":"cloud"},"metadata":{"type":"string"},"expected_version":{"cloud":5,"edge":1}}}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.expected?.text == "cloud")
    #expect(await fixture.book.devices[id]?.twins["a"]?.expectedVersion == Twin.Version(cloud: 5, edge: 1))
    #expect(outcome.publications.map(\.topic) == ["document", "delta"].map { "$hw/events/device/default/thermo-1/twin/update/" + $0 })
    // Without a version nothing can be synchronised; a deletion can.
    _ = await synchronise(fixture, #"{"a":{"expected":{"value":"none"}}}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.expected?.text == "cloud")
    _ = await synchronise(fixture, #"{"a":{"metadata":{"type":"deleted"}}}"#)
    #expect(await fixture.book.devices[id]?.twins["a"]?.isDeleted == true)
  }

  @Test func theFullListTakesAwayWhatItDoesNotName() async throws {
    let fixture = try await BookFixture.withDevice()
    await fixture.add("default/other")
    let list = try MembershipUpdate(
      Array(
        #"{"devices":[{"id":"default/other"},{"id":"default/third","twin":{"a":{"expected":{"value":"1"},"expected_version":{"cloud":1,"edge":0}}}}]}"#
          .utf8))
    _ = await fixture.book.take([.allDevices(list)])
    #expect(await fixture.book.devices.keys.map(\.text).sorted() == ["default/other", "default/third"])
    #expect(await fixture.book.devices[DeviceID("default/third")]?.twins["a"]?.expected?.text == "1")
    // What it says of devices that are known counts as well.
    let newer = try MembershipUpdate(
      Array(
        #"{"devices":[{"id":"default/third","twin":{"a":{"expected":{"value":"2"},"expected_version":{"cloud":2,"edge":0}}}}]}"#.utf8))
    let outcome = await fixture.book.take([.allDevices(newer)])
    #expect(await fixture.book.devices[DeviceID("default/third")]?.twins["a"]?.expected?.text == "2")
    #expect(outcome.publications.contains { $0.topic == "$hw/events/device/default/third/twin/update/document" })
  }
}
