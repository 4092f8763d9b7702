import Glibc
import Logging
import Testing
import YAML

@testable import DeviceTwin

/// A book on a database of its own, in a folder that goes with it.
final class BookFixture: Sendable {
  let directory: String
  let book: DeviceBook

  init() throws {
    var template = Array("/tmp/edgecore-twin-XXXXXX".utf8CString)
    let made = try #require(mkdtemp(&template))
    directory = String(cString: made)
    book = try Self.makeBook(directory)
  }

  deinit {
    for name in ["devicetwin.db", "edgecore.db"] { for companion in ["", "-wal", "-shm"] { unlink("\(directory)/\(name)\(companion)") } }
    rmdir(directory)
  }

  static func makeBook(_ directory: String) throws -> DeviceBook {
    try DeviceBook(
      path: directory + "/devicetwin.db", agentDatabase: directory + "/edgecore.db", nodeName: "edge-1", logger: Logger(label: "test"))
  }

  /// Another book on the same database, as after a restart.
  func reopened() async throws -> DeviceBook {
    await book.close()
    let again = try Self.makeBook(directory)
    try await again.open()
    return again
  }

  /// With one device, `default/thermo-1`, and nothing said of it yet.
  static func withDevice() async throws -> BookFixture {
    let fixture = try BookFixture()
    try await fixture.book.open()
    await fixture.add("default/thermo-1")
    return fixture
  }

  @discardableResult
  func add(_ id: String) async -> [Publication] {
    guard
      let update = try? MembershipUpdate(
        Array(#"{"added_devices":[{"id":"\#(id)","name":"\#(DeviceID(id).name)"}],"removed_devices":null}"#.utf8))
    else { return [] }
    return await book.take([.membership(update)]).publications.map(Publication.init)
  }

  @discardableResult
  func send(_ subject: DeviceTopic.Subject, _ payload: String, to id: String = "default/thermo-1") async -> [Publication] {
    await book.take([.device(id: id, subject, payload: Array(payload.utf8))]).publications.map(Publication.init)
  }

  /// A publication as tests look at it: times and random ids are replaced.
  struct Publication: Sendable, Hashable, CustomStringConvertible {
    var topic: String
    var json: JSONValue

    init(_ publication: DeviceBook.Publication) {
      topic = publication.topic
      json = (try? JSONValue(json: publication.payload)) ?? .null
    }

    var description: String { "\(topic) \(text)" }

    var text: String {
      var text = Self.withoutTimes(json).jsonText()
      if let id = json["event_id"]?.string, id.utf8.count == 36 { text.replace(id, with: "UUID") }
      return text
    }

    private static func withoutTimes(_ value: JSONValue) -> JSONValue {
      switch value {
      case .object(let members):
        .object(
          members.map { member in
            if member.key == "timestamp", (member.value.int ?? 0) > 1_700_000_000_000 { return .init(member.key, .number("1")) }
            if member.key == "lastOnlineTime" { return .init(member.key, .string("T")) }
            return .init(member.key, withoutTimes(member.value))
          })
      case .array(let items): .array(items.map(withoutTimes))
      default: value
      }
    }
  }
}
