/// A device as the node knows it.
struct Device: Sendable, Hashable {
  var id: DeviceID
  var name: String
  var description = ""
  /// As its last report said it: `online`, `OK`, `unhealthy` …
  var state = ""
  /// RFC 3339 in UTC; empty unless its last state was a good one.
  var lastOnline = ""
  var attributes: [String: Attribute] = [:]
  var twins: [String: Twin] = [:]
  /// Whether a Device object of the cloud stands behind it.
  var hasObject = false
  /// Of properties, as the DeviceModel says; not stored, the object says them at each start.
  var modelTypes: [String: String] = [:]
}

/// Something about a device that hardly ever changes.
struct Attribute: Sendable, Hashable {
  var value: String
  var optional = true
  var type = Twin.standardType
}

/// One property of a device, as it should be and as it is.
struct Twin: Sendable, Hashable {
  static let standardType = "string"
  /// The type of a twin that was deleted; its row stays for its versions.
  static let deletedType = "deleted"

  struct Value: Sendable, Hashable {
    var text: String
    /// When the node took it; milliseconds since 1970.
    var timestamp: Int64
  }

  /// Counts the changes that the cloud and the edge made to a value.
  struct Version: Sendable, Hashable {
    var cloud: Int64 = 0
    var edge: Int64 = 0

    /// Whatever number a message has named, counting ends nowhere: behind the highest comes the lowest, as with KubeEdge.
    mutating func countEdge() { edge &+= 1 }
  }

  var expected: Value?
  var actual: Value?
  var optional = true
  /// `string`, `int`, `integer`, `float`, `boolean` or `deleted`.
  var type = Self.standardType
  var expectedVersion: Version?
  var actualVersion: Version?
  /// What the cloud's Device object wished last; nil if it has no wish.
  var desired: String?
  /// Whether the cloud has confirmed a report of it. It makes a property's entry with the first report and fills it with the second, so what
  /// is told for the first time is told twice.
  var isShown = false
  /// Whether the type is only the DeviceModel's: nobody at the edge has named one, and a value without it makes it a text.
  var isTypeAssumed = false

  var isDeleted: Bool { type == Self.deletedType }
  /// Whether the cloud alone has said anything about it.
  var isUntouchedByEdge: Bool { actualVersion == nil && expectedVersion?.edge ?? 0 == 0 }
}
