import Synchronization
import YAML

/// Which version of which object a node has acknowledged: the cloud's ObjectSync and ClusterObjectSync objects.
final class SyncRecords: Sendable {
  struct Record: Sendable, Hashable {
    var node: String
    var uid: String
    /// As it is in the resource on the wire; `null` for objects that have none.
    var namespace: String
    var type: String
    var name: String
    /// `0` as long as nothing was acknowledged.
    var version: String

    /// The name of the record.
    var id: String { "\(node).\(uid)" }
    var resource: String { "\(namespace)/\(type)/\(name)" }
  }

  private let records = Mutex<[String: Record]>([:])

  init() {}

  init(snapshot: JSONValue) {
    records.withLock { records in
      for value in snapshot.array ?? [] {
        func text(_ key: String) -> String { value[key]?.string ?? "" }
        let record = Record(
          node: text("node"), uid: text("uid"), namespace: text("namespace"), type: text("type"), name: text("name"),
          version: text("version"))
        records[record.id] = record
      }
    }
  }

  var snapshot: JSONValue {
    .array(
      all.map { record in
        .members(
          ("node", .string(record.node)), ("uid", .string(record.uid)), ("namespace", .string(record.namespace)),
          ("type", .string(record.type)), ("name", .string(record.name)), ("version", .string(record.version)))
      })
  }

  var all: [Record] { records.withLock { $0.values.sorted { $0.id < $1.id } } }

  func of(node: String) -> [Record] { all.filter { $0.node == node } }

  /// The version that a node has of an object; nil if it never had to get it.
  func version(node: String, uid: String) -> UInt64? {
    records.withLock { $0["\(node).\(uid)"].map { UInt64($0.version) ?? 0 } }
  }

  /// Notes that a node has to get an object, if that isn't known yet.
  func note(_ record: Record) { records.withLock { if $0[record.id] == nil { $0[record.id] = record } } }

  func save(_ record: Record) { records.withLock { $0[record.id] = record } }

  func remove(node: String, uid: String) { records.withLock { _ = $0.removeValue(forKey: "\(node).\(uid)") } }

  func removeAll(node: String) { records.withLock { records in records = records.filter { $0.value.node != node } } }
}
