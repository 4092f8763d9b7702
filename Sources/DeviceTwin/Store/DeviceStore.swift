import SQLite
import YAML

/// The tables of devices: KubeEdge's, and what the cloud has still to be told. Belongs to one thread at a time.
struct DeviceStore {
  /// `desired`, `shown`, `assumed`, `object`, `mapper`, `told` and `owed` are ours.
  static let migrations = Migrations([
    """
    CREATE TABLE device (id TEXT PRIMARY KEY, name TEXT, description TEXT, state TEXT, last_online TEXT, object INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE device_attr (
      id INTEGER PRIMARY KEY AUTOINCREMENT, deviceid TEXT NOT NULL, name TEXT NOT NULL, description TEXT, value TEXT, optional INTEGER,
      attr_type TEXT, metadata TEXT, UNIQUE (deviceid, name));
    CREATE TABLE device_twin (
      id INTEGER PRIMARY KEY AUTOINCREMENT, deviceid TEXT NOT NULL, name TEXT NOT NULL, description TEXT, expected TEXT, actual TEXT,
      expected_meta TEXT, actual_meta TEXT, expected_version TEXT, actual_version TEXT, optional INTEGER, attr_type TEXT, metadata TEXT,
      desired TEXT, shown INTEGER NOT NULL DEFAULT 0, UNIQUE (deviceid, name));
    CREATE TABLE mapper (
      protocol TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, api_version TEXT NOT NULL, address TEXT NOT NULL,
      state TEXT NOT NULL);
    CREATE TABLE owed (deviceid TEXT NOT NULL, name TEXT NOT NULL, parts INTEGER NOT NULL, PRIMARY KEY (deviceid, name)) WITHOUT ROWID;
    """,
    """
    ALTER TABLE device_twin ADD COLUMN assumed INTEGER NOT NULL DEFAULT 0;
    UPDATE device_twin SET assumed = 1 WHERE desired IS NOT NULL AND actual_version IS NULL;
    """,
    "CREATE TABLE told (protocol TEXT NOT NULL, subject TEXT NOT NULL, mark INTEGER NOT NULL, PRIMARY KEY (protocol, subject)) WITHOUT ROWID",
  ])

  static let inheritedTables = ["device", "device_attr", "device_twin"]

  let connection: Connection

  // MARK: Reading

  func devices() throws(SQLiteError) -> [DeviceID: Device] {
    var devices: [DeviceID: Device] = [:]
    let rows = try connection.rows("SELECT id, name, description, state, last_online, object FROM device") { row in
      var device = Device(
        id: DeviceID(row.text(0)), name: row.text(1), description: row.text(2), state: row.text(3), lastOnline: row.text(4))
      device.hasObject = row.integer(5) != 0
      return device
    }
    for device in rows { devices[device.id] = device }
    let attributes = try connection.rows("SELECT deviceid, name, value, optional, attr_type FROM device_attr") { row in
      (DeviceID(row.text(0)), row.text(1), Attribute(value: row.text(2), optional: row.integer(3) != 0, type: row.text(4)))
    }
    for (id, name, attribute) in attributes { devices[id]?.attributes[name] = attribute }
    let twins = try connection.rows(
      """
      SELECT deviceid, name, optional, attr_type, desired, expected, expected_meta, expected_version, actual, actual_meta, actual_version, shown, assumed
      FROM device_twin
      """
    ) { row in
      var twin = Twin(optional: row.integer(2) != 0, type: row.text(3), desired: row.optionalText(4), isShown: row.integer(11) != 0)
      twin.expected = Self.value(row.optionalText(5), meta: row.text(6))
      twin.expectedVersion = Self.version(row.text(7))
      twin.actual = Self.value(row.optionalText(8), meta: row.text(9))
      twin.actualVersion = Self.version(row.text(10))
      twin.isTypeAssumed = row.integer(12) != 0
      return (DeviceID(row.text(0)), row.text(1), twin)
    }
    for (id, name, twin) in twins { devices[id]?.twins[name] = twin }
    return devices
  }

  /// KubeEdge writes what is absent as an empty text without a time.
  private static func value(_ text: String?, meta: String) -> Twin.Value? {
    guard let text, !(text.isEmpty && meta.isEmpty) else { return nil }
    return Twin.Value(text: text, timestamp: (try? JSONValue(json: meta))?["timestamp"]?.int ?? 0)
  }

  private static func version(_ text: String) -> Twin.Version? {
    guard let version = try? JSONValue(json: text) else { return nil }
    return Twin.Version(cloud: version["cloud"]?.int ?? 0, edge: version["edge"]?.int ?? 0)
  }

  func owed() throws(SQLiteError) -> [DeviceID: Debt] {
    var debts: [DeviceID: Debt] = [:]
    let rows = try connection.rows("SELECT deviceid, name, parts FROM owed") { (DeviceID($0.text(0)), $0.text(1), $0.integer(2)) }
    for (id, name, parts) in rows { debts[id, default: Debt()][name] = Debt.Parts(rawValue: parts) }
    return debts
  }

  func mappers() throws(SQLiteError) -> [Mapper] {
    try connection.rows("SELECT name, version, api_version, protocol, address, state FROM mapper") { row in
      Mapper(
        name: row.text(0), version: row.text(1), apiVersion: row.text(2), protocolName: row.text(3), address: row.text(4),
        state: row.text(5))
    }
  }

  /// By protocol.
  func told() throws(SQLiteError) -> [String: ToldMapper] {
    var told: [String: ToldMapper] = [:]
    let rows = try connection.rows("SELECT protocol, subject, mark FROM told") { ($0.text(0), $0.text(1), $0.integer(2)) }
    for (name, subject, mark) in rows { told[name, default: ToldMapper()].marks[subject] = UInt64(bitPattern: mark) }
    return told
  }

  // MARK: Writing

  func remember(_ change: ToldMapper.Change) throws {
    try connection.transaction {
      switch change {
      case .call(let name, let subject, let mark):
        try put(mark, of: subject, by: name)
      case .everything(let name, let told):
        try connection.run("DELETE FROM told WHERE protocol = ?", .text(name))
        for (subject, mark) in told.marks { try put(mark, of: subject, by: name) }
      }
    }
  }

  private func put(_ mark: UInt64?, of subject: String, by name: String) throws(SQLiteError) {
    if let mark {
      try connection.run("INSERT OR REPLACE INTO told VALUES (?, ?, ?)", .text(name), .text(subject), .integer(Int64(bitPattern: mark)))
    } else {
      try connection.run("DELETE FROM told WHERE protocol = ? AND subject = ?", .text(name), .text(subject))
    }
  }

  func put(_ mapper: Mapper) throws(SQLiteError) {
    try connection.run(
      "INSERT OR REPLACE INTO mapper VALUES (?, ?, ?, ?, ?, ?)", .text(mapper.protocolName), .text(mapper.name), .text(mapper.version),
      .text(mapper.apiVersion), .text(mapper.address), .text(mapper.state))
  }

  func put(_ device: Device) throws(SQLiteError) {
    try connection.run(
      """
      INSERT INTO device VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
      name = excluded.name, description = excluded.description, state = excluded.state, last_online = excluded.last_online, object = excluded.object
      """, .text(device.id.text), .text(device.name), .text(device.description), .text(device.state), .text(device.lastOnline),
      .integer(device.hasObject ? 1 : 0))
  }

  func put(_ twin: Twin, named name: String, of id: DeviceID) throws(SQLiteError) {
    try connection.run(
      """
      INSERT INTO device_twin (
        deviceid, name, description, expected, actual, expected_meta, actual_meta, expected_version, actual_version, optional, attr_type,
        metadata, desired, shown, assumed) VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, '{}', ?, ?, ?)
      ON CONFLICT (deviceid, name) DO UPDATE SET
      expected = excluded.expected, actual = excluded.actual, expected_meta = excluded.expected_meta, actual_meta = excluded.actual_meta,
      expected_version = excluded.expected_version, actual_version = excluded.actual_version, optional = excluded.optional,
      attr_type = excluded.attr_type, desired = excluded.desired, shown = excluded.shown,
      assumed = excluded.assumed
      """, .text(id.text), .text(name), .optional(twin.expected?.text), .optional(twin.actual?.text),
      .optional(twin.expected.map(Self.meta)), .optional(twin.actual.map(Self.meta)), .optional(twin.expectedVersion.map(Self.text)),
      .optional(twin.actualVersion.map(Self.text)), .integer(twin.optional ? 1 : 0), .text(twin.type), .optional(twin.desired),
      .integer(twin.isShown ? 1 : 0), .integer(twin.isTypeAssumed ? 1 : 0))
  }

  private static func meta(_ value: Twin.Value) -> String { #"{"timestamp":\#(value.timestamp)}"# }
  private static func text(_ version: Twin.Version) -> String { #"{"cloud":\#(version.cloud),"edge":\#(version.edge)}"# }

  func put(_ attribute: Attribute?, named name: String, of id: DeviceID) throws(SQLiteError) {
    guard let attribute else {
      return _ = try connection.run("DELETE FROM device_attr WHERE deviceid = ? AND name = ?", .text(id.text), .text(name))
    }
    try connection.run(
      """
      INSERT INTO device_attr (deviceid, name, description, value, optional, attr_type, metadata) VALUES (?, ?, '', ?, ?, ?, '{}')
      ON CONFLICT (deviceid, name) DO UPDATE SET value = excluded.value, optional = excluded.optional, attr_type = excluded.attr_type
      """, .text(id.text), .text(name), .text(attribute.value), .integer(attribute.optional ? 1 : 0), .text(attribute.type))
  }

  func remove(_ id: DeviceID) throws(SQLiteError) {
    try connection.run("DELETE FROM device WHERE id = ?", .text(id.text))
    for table in ["device_attr", "device_twin", "owed"] { try connection.run("DELETE FROM \(table) WHERE deviceid = ?", .text(id.text)) }
  }

  func put(_ parts: Debt.Parts, named name: String, of id: DeviceID) throws(SQLiteError) {
    if parts.isEmpty {
      try connection.run("DELETE FROM owed WHERE deviceid = ? AND name = ?", .text(id.text), .text(name))
    } else {
      try connection.run("INSERT OR REPLACE INTO owed VALUES (?, ?, ?)", .text(id.text), .text(name), .integer(parts.rawValue))
    }
  }
}

extension SQLiteValue {
  fileprivate static func optional(_ text: String?) -> SQLiteValue { text.map { .text($0) } ?? .null }
}
