import Testing
import YAML

@testable import DeviceTwin

/// What is published upon messages about a device, word for word.
@Suite struct TwinUpdateTests {
  private func update(_ twin: String, event: String = "7") -> String { #"{"event_id":"\#(event)","timestamp":0,"twin":\#(twin)}"# }

  private static let prefix = "$hw/events/device/default/thermo-1/"

  /// The conversation that was recorded with KubeEdge's own agent.
  @Test func aRecordedConversation() async throws {
    let fixture = try await BookFixture.withDevice()
    let prefix = Self.prefix
    var seen = await fixture.send(.stateUpdate, #"{"event_id":"1","timestamp":0,"state":"online"}"#)
    #expect(
      seen.map(\.description) == [
        prefix
          + #"state/update/result {"event_id":"UUID","timestamp":1,"device":{"name":"thermo-1","state":"online","lastOnlineTime":"T"}}"#
      ])
    seen = await fixture.send(.twinGet, #"{"event_id":"2","timestamp":0}"#)
    #expect(seen.map(\.description) == [prefix + #"twin/get/result {"event_id":"2","timestamp":1,"twin":{}}"#])
    seen = await fixture.send(.twinUpdate, update(#"{"temperature":{"actual":{"value":"22"},"metadata":{"type":"int"}}}"#, event: "22"))
    let one = #"{"actual":{"value":"22","metadata":{"timestamp":1}},"optional":true,"metadata":{"type":"int"}}"#
    #expect(
      seen.map(\.description) == [
        prefix + #"twin/update/result {"event_id":"22","timestamp":1,"twin":{"temperature":\#(one)}}"#,
        prefix + #"twin/update/document {"event_id":"22","timestamp":1,"twin":{"temperature":{"last":null,"current":\#(one)}}}"#,
      ])
    seen = await fixture.send(.twinUpdate, update(#"{"temperature":{"actual":{"value":"23"},"metadata":{"type":"int"}}}"#, event: "23"))
    let two = #"{"actual":{"value":"23","metadata":{"timestamp":1}},"optional":true,"metadata":{"type":"int"}}"#
    #expect(
      seen.map(\.description) == [
        prefix + #"twin/update/result {"event_id":"23","timestamp":1,"twin":{"temperature":\#(two)}}"#,
        prefix + #"twin/update/document {"event_id":"23","timestamp":1,"twin":{"temperature":{"last":\#(one),"current":\#(two)}}}"#,
      ])
  }

  @Test func anExpectedValueThatDiffersIsADeltaOfTheWholeDevice() async throws {
    let fixture = try await BookFixture.withDevice()
    var seen = await fixture.send(
      .twinUpdate, update(#"{"a":{"expected":{"value":"1"},"actual":{"value":"1"}},"b":{"expected":{"value":"2"}}}"#))
    #expect(seen.map(\.topic) == ["result", "document", "delta"].map { Self.prefix + "twin/update/" + $0 })
    #expect(seen.last?.json["delta"]?.jsonText() == #"{"b":"2"}"#)
    #expect(seen.last?.json["twin"]?.object?.map(\.key) == ["a", "b"])
    // It is repeated as long as something differs, whatever the message is about.
    seen = await fixture.send(.twinUpdate, update(#"{"c":{"actual":{"value":"3"}}}"#))
    #expect(seen.last?.json["delta"]?.jsonText() == #"{"b":"2"}"#)
    seen = await fixture.send(.twinUpdate, update(#"{"b":{"actual":{"value":"2"}}}"#))
    #expect(seen.map(\.topic) == ["result", "document"].map { Self.prefix + "twin/update/" + $0 })
  }

  @Test func versionsCountTheEdgesChanges() async throws {
    let fixture = try await BookFixture.withDevice()
    for value in ["1", "1", "2"] { await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"\#(value)"}}}"#)) }
    let device = await fixture.book.devices[DeviceID("default/thermo-1")]
    #expect(device?.twins["a"]?.actualVersion == Twin.Version(cloud: 0, edge: 3))
    #expect(device?.twins["a"]?.expectedVersion == nil)
    let report = try #require(await fixture.book.report(of: DeviceID("default/thermo-1")))
    let message = try #require(report.messages.first)
    #expect(
      message.resource == "device/default/thermo-1/twin/edge_updated" && message.route.source == "twin" && message.route.group == "resource"
    )
    let twin = try JSONValue(json: message.content)["twin"]?["a"]
    #expect(twin?["actual_version"]?.jsonText() == #"{"cloud":0,"edge":3}"# && twin?["actual"]?["value"] == .string("2"))
  }

  @Test(
    arguments: [
      ("no JSON", 400, Rejection.unreadable.reason), ("[]", 400, Rejection.unreadable.reason),
      (#"{"twin":[]}"#, 400, Rejection.unreadable.reason),
      (#"{"twin":{"a":{"actual":{"value":1}}}}"#, 400, Rejection.unreadable.reason),
      (#"{"event_id":3,"twin":{}}"#, 400, Rejection.unreadable.reason),
      (#"{"event_id":"7"}"#, 400, "Update twin error, key:twin does not exist"),
      (#"{"twin":null}"#, 400, "Update twin error, key:twin does not exist"),
      (#"{"twin":{"a b":{"actual":{"value":"1"}}}}"#, 400, Rejection.key.reason),
      (#"{"twin":{"a":{"actual":{"value":"with blank"}}}}"#, 400, Rejection.value.reason),
      (#"{"twin":{"a":{"expected":{"value":"{}"}}}}"#, 400, Rejection.value.reason),
      (#"{"twin":{"a":null}}"#, 400, "the request body is wrong"),
      (#"{"twin":{"a":{"actual":{"value":"x"},"metadata":{"type":"int"}}}}"#, 400, "the value is not int or integer"),
      (#"{"twin":{"a":{"actual":{"value":"x"},"metadata":{"type":"double"}}}}"#, 400, "the value type is not allowed"),
    ] as [(String, Int64, String)])
  func refusals(payload: String, code: Int64, reason: String) async throws {
    let fixture = try await BookFixture.withDevice()
    let seen = await fixture.send(.twinUpdate, payload)
    #expect(seen.first?.topic == Self.prefix + "twin/update/result")
    #expect(seen.first?.json["code"]?.int == code && seen.first?.json["reason"]?.string == reason)
    #expect(await fixture.book.devices[DeviceID("default/thermo-1")]?.twins.isEmpty == true)
    // What can't be read goes where KubeEdge sends it, too.
    let isUnread = [Rejection.unreadable, .noTwin, .key, .value].map(\.reason).contains(reason)
    #expect(seen.dropFirst().map(\.topic) == (isUnread ? ["$hw/events/device//twin/update/result"] : []))
  }

  @Test func anUnknownDeviceIsNotFound() async throws {
    let fixture = try await BookFixture.withDevice()
    var seen = await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"1"}}}"#), to: "default/other")
    #expect(
      seen.map(\.description) == [
        #"$hw/events/device/default/other/twin/update/result {"event_id":"7","timestamp":1,"code":404,"reason":"update rejected due to the device is not existed"}"#
      ])
    seen = await fixture.send(.twinGet, #"{"event_id":"8"}"#, to: "default/other")
    #expect(
      seen.first?.json["code"]?.int == 404 && seen.first?.json["reason"]?.string == "Device default/other not found while getting twin")
    #expect(await fixture.send(.stateUpdate, #"{"state":"online"}"#, to: "default/other") == [])
  }

  @Test func anUpdateOfSeveralPropertiesIsDoneWhollyOrNotAtAll() async throws {
    let fixture = try await BookFixture.withDevice()
    await fixture.send(.twinUpdate, update(#"{"n":{"actual":{"value":"1"},"metadata":{"type":"int"}}}"#))
    let seen = await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"1"}},"n":{"actual":{"value":"x"}}}"#))
    #expect(seen.count == 1 && seen.first?.json["reason"]?.string == "the value is not int or integer")
    let device = await fixture.book.devices[DeviceID("default/thermo-1")]
    #expect(device?.twins.keys.sorted() == ["n"] && device?.twins["n"]?.actual?.text == "1")
  }

  @Test func propertiesAreDeletedAndComeBack() async throws {
    let fixture = try await BookFixture.withDevice()
    await fixture.send(
      .twinUpdate, update(#"{"a":{"actual":{"value":"1"},"metadata":{"type":"int"}},"b":{"actual":{"value":"1"},"optional":false}}"#))
    var seen = await fixture.send(.twinUpdate, update(#"{"a":null}"#))
    #expect(seen.first?.json["twin"]?.jsonText() == #"{"a":null}"#)
    #expect(
      seen.last?.json["twin"]?["a"]?["current"] == .null && seen.last?.json["twin"]?["a"]?["last"]?["actual"]?["value"] == .string("1"))
    // What isn't optional stays.
    seen = await fixture.send(.twinUpdate, update(#"{"b":null}"#))
    #expect(seen.map(\.text) == [#"{"event_id":"7","timestamp":1,"twin":{}}"#])
    let again = try await fixture.reopened()
    let twin = await again.devices[DeviceID("default/thermo-1")]?.twins["a"]
    #expect(twin?.isDeleted == true && twin?.actual == nil && twin?.actualVersion == Twin.Version(cloud: 0, edge: 2))
    let get = await again.take([.device(id: "default/thermo-1", .twinGet, payload: Array("{}".utf8))]).publications.map(
      BookFixture.Publication.init)
    #expect(get.first?.json["twin"]?.object?.map(\.key) == ["b"])
    let back = await again.take([
      .device(id: "default/thermo-1", .twinUpdate, payload: Array(update(#"{"a":{"actual":{"value":"x"}}}"#).utf8))
    ])
    let document = try #require(back.publications.map(BookFixture.Publication.init).last)
    #expect(
      document.json["twin"]?["a"]?["last"] == .null && document.json["twin"]?["a"]?["current"]?["metadata"]?["type"] == .string("string"))
  }

  @Test func everythingSurvivesARestart() async throws {
    let fixture = try await BookFixture.withDevice()
    await fixture.send(.stateUpdate, #"{"state":"OK"}"#)
    await fixture.send(.updated, #"{"attributes":{"colour":{"value":"red","metadata":{"type":"string"}}}}"#)
    await fixture.send(.twinUpdate, update(#"{"a":{"expected":{"value":""},"actual":{"value":"1"},"metadata":{"type":"string"}}}"#))
    let before = await fixture.book.devices
    let debts = await fixture.book.debts
    let again = try await fixture.reopened()
    #expect(await again.devices == before)
    #expect(await again.debts == debts && !debts.isEmpty)
    #expect(before[DeviceID("default/thermo-1")]?.twins["a"]?.expected?.text == "")
  }

  @Test func whatCannotBeStoredIsRefusedAndForgotten() async throws {
    let fixture = try await BookFixture.withDevice()
    await fixture.book.close()
    let seen = await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"1"}}}"#))
    #expect(seen.count == 1 && seen.first?.json["code"]?.int == 500 && seen.first?.json["event_id"]?.string == "7")
    #expect(await fixture.book.devices[DeviceID("default/thermo-1")]?.twins.isEmpty == true)
    #expect(await fixture.book.debts.isEmpty)
  }

  @Test func keysAreReadWithoutCaseAndStrangersSkipped() async throws {
    let fixture = try await BookFixture.withDevice()
    let seen = await fixture.send(.twinUpdate, #"{"Event_ID":"9","x":[1,{}],"TWIN":{"a":{"Actual":{"VALUE":"1","y":2}}}}"#)
    #expect(seen.first?.json["event_id"] == .string("9") && seen.first?.json["twin"]?["a"]?["actual"]?["value"] == .string("1"))
  }

  @Test func aDeviceWithoutNamespaceIsFoundIfThereIsOneOfThatName() async throws {
    let fixture = try await BookFixture.withDevice()
    var seen = await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"1"}}}"#), to: "thermo-1")
    #expect(seen.first?.topic == "$hw/events/device/thermo-1/twin/update/result" && seen.first?.json["code"] == nil)
    await fixture.add("garden/thermo-1")
    seen = await fixture.send(.twinUpdate, update(#"{"a":{"actual":{"value":"2"}}}"#), to: "thermo-1")
    #expect(seen.first?.json["code"]?.int == 404)
  }
}
