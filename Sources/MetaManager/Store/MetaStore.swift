import Core
import SQLite

/// The node's own copy of what the cloud says, and what it owes the cloud: one SQLite file, one writer on a thread of its own.
///
/// The tables are KubeEdge's, so that a node's database can be taken over, and a few more. What a call wrote is on the disk when it returns.
actor MetaStore {
  static let migrations = Migrations([
    """
    CREATE TABLE IF NOT EXISTS meta (key TEXT NOT NULL, type TEXT NOT NULL, value TEXT, PRIMARY KEY (key));
    CREATE INDEX IF NOT EXISTS meta_type ON meta (type);
    CREATE TABLE IF NOT EXISTS owed (
      sequence INTEGER PRIMARY KEY AUTOINCREMENT, object TEXT NOT NULL, slot TEXT NOT NULL, operation TEXT NOT NULL,
      resource TEXT NOT NULL, content TEXT NOT NULL, UNIQUE (object, slot));
    CREATE TABLE IF NOT EXISTS state (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key));
    """
  ])

  /// Events that wait at most; older ones go first.
  static let owedEventLimit = 1000

  /// Set in a store that was made anew, until the pods that may run from an earlier life are known again: the old one may have been
  /// damaged, or lost.
  static let rebuiltState = "rebuilt"

  nonisolated let path: String
  private let executor: ThreadExecutor
  private var connection: Connection?

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// - Throws: `ThreadError`.
  init(path: String) throws {
    self.path = path
    executor = try ThreadExecutor("metastore")
  }

  /// Opens the file, unless it is open: everything else does so too.
  /// - Returns: what was wrong with the file, if it was set aside.
  @discardableResult
  func open() throws -> DatabaseFile.Damage? {
    if connection != nil { return nil }
    let opened = try DatabaseFile.open(path, Self.migrations)
    if opened.isNew {
      try opened.connection.run(
        "INSERT OR REPLACE INTO state VALUES (?, ?)", .text(Self.rebuiltState), .text(opened.damage?.setAside ?? ""))
    }
    connection = opened.connection
    return opened.damage
  }

  func close() { connection = nil }

  private func database() throws -> Connection {
    if connection == nil { try open() }
    guard let connection else { throw MetadataError(.unavailable, "the database \(path) is not open") }
    return connection
  }

  // MARK: Writing

  /// Does all of the changes or none.
  /// - Throws: `SQLiteError`; then nothing was changed. `isDamage` tells that the file has to be opened anew.
  func apply(_ changes: [StoreChange]) throws -> [StoreOutcome] {
    let database = try database()
    return try database.transaction { try changes.map { try Self.apply($0, to: database) } }
  }

  private static func apply(_ change: StoreChange, to database: Connection) throws -> StoreOutcome {
    switch change {
    case .put(let key, let object): return try put(key, object, database)
    case .remove(let key, let uid): return try remove(key, uid: uid, database)
    case .putRow(let key, let type, let value):
      if try value == row(key, database) { return .unchanged }
      try write(key, type, value, database)
      return .changed
    case .owe(let entry): return try owe(entry, database)
    case .settle(let sequence):
      return try database.run("DELETE FROM owed WHERE sequence = ?", .integer(sequence)) > 0 ? .changed : .unchanged
    case .settleOlder(let object, let slot, let last):
      let changed = try database.run(
        "DELETE FROM owed WHERE object = ? AND slot = ? AND sequence <= ?", .text(object), .text(slot.rawValue), .integer(last))
      return changed > 0 ? .changed : .unchanged
    case .setState(let key, let value):
      if let value {
        try database.run("INSERT OR REPLACE INTO state VALUES (?, ?)", .text(key), .text(value))
      } else {
        try database.run("DELETE FROM state WHERE key = ?", .text(key))
      }
      return .changed
    }
  }

  private static func put(_ key: ObjectKey, _ object: [UInt8], _ database: Connection) throws -> StoreOutcome {
    if let old = try row(key.resource, database) {
      if old == object { return .unchanged }
      if let known = ObjectFacts(old), let new = ObjectFacts(object), let knownVersion = known.resourceVersion,
        let newVersion = new.resourceVersion
      {
        if newVersion < knownVersion { return .stale }
        if newVersion == knownVersion, known.uid == new.uid { return .unchanged }
      }
    }
    try write(key.resource, key.type, object, database)
    return .changed
  }

  private static func remove(_ key: ObjectKey, uid: String?, _ database: Connection) throws -> StoreOutcome {
    let old = try row(key.resource, database)
    if let uid, let old, let stored = ObjectFacts(old)?.uid, stored != uid { return .stale }
    if key.type == "pod", let uid = uid ?? old.flatMap({ ObjectFacts($0)?.uid }) { try forget(podUID: uid, key, database) }
    guard old != nil else { return .unchanged }
    try database.run("DELETE FROM meta WHERE key = ?", .text(key.resource))
    return .changed
  }

  /// Nothing is owed for a pod that the cloud has removed, and its tokens are of no use.
  private static func forget(podUID uid: String, _ key: ObjectKey, _ database: Connection) throws {
    try database.run("DELETE FROM owed WHERE object = ?", .text("pod/\(uid)"))
    try database.run("DELETE FROM meta WHERE key = ?", .text("\(key.namespace)/podpatch/\(key.name)"))
    try database.run(
      "DELETE FROM meta WHERE type = 'serviceaccounttoken' AND instr(key, ?) > 0", .text("UID:\"\(uid)\""))
  }

  private static func owe(_ entry: OwedEntry, _ database: Connection) throws -> StoreOutcome {
    var operation = entry.operation
    if entry.slot == .event {
      // What the cloud hasn't heard of yet has to be made, whatever happened to it since.
      let old = try database.first(
        "SELECT operation FROM owed WHERE object = ? AND slot = ?", .text(entry.object), .text(entry.slot.rawValue)
      ) { $0.text(0) }
      if let old { operation = Message.Operation(old) }
    }
    try database.run(
      "INSERT OR REPLACE INTO owed (object, slot, operation, resource, content) VALUES (?, ?, ?, ?, ?)", .text(entry.object),
      .text(entry.slot.rawValue), .text(operation.rawValue), .text(entry.resource), text(entry.content))
    let sequence = try database.first("SELECT last_insert_rowid()") { $0.integer(0) } ?? 0
    if entry.slot == .event {
      try database.run(
        "DELETE FROM owed WHERE slot = 'event' AND sequence <= (SELECT sequence FROM owed WHERE slot = 'event' ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
        .integer(Int64(owedEventLimit)))
    }
    return .owed(sequence: sequence)
  }

  private static func write(_ key: String, _ type: String, _ value: [UInt8], _ database: Connection) throws {
    try database.run("INSERT OR REPLACE INTO meta (key, type, value) VALUES (?, ?, ?)", .text(key), .text(type), text(value))
  }

  private static func text(_ bytes: [UInt8]) -> SQLiteValue { .text(String(decoding: bytes, as: UTF8.self)) }

  // MARK: Reading

  /// The value of a row; nil without one.
  func row(_ key: String) throws -> [UInt8]? { try Self.row(key, try database()) }

  private static func row(_ key: String, _ database: Connection) throws -> [UInt8]? {
    try database.first("SELECT value FROM meta WHERE key = ?", .text(key)) { $0.bytes(0) }
  }

  /// All rows of a type: `namespace/type/name` and the object.
  func rows(ofType type: String) throws -> [(key: String, value: [UInt8])] {
    try database().rows("SELECT key, value FROM meta WHERE type = ? ORDER BY key", .text(type)) { ($0.text(0), $0.bytes(1)) }
  }

  /// Key, type and size in bytes of all rows.
  func keys() throws -> [(key: String, type: String, size: Int)] {
    try database().rows("SELECT key, type, length(CAST(value AS BLOB)) FROM meta ORDER BY key") {
      ($0.text(0), $0.text(1), Int($0.integer(2)))
    }
  }

  /// What is owed, in the order in which it became so.
  func owed() throws -> [OwedEntry] {
    try database().rows("SELECT sequence, object, slot, operation, resource, content FROM owed ORDER BY sequence") { row in
      OwedEntry(
        sequence: row.integer(0), object: row.text(1), slot: OwedEntry.Slot(rawValue: row.text(2)) ?? .status,
        operation: Message.Operation(row.text(3)), resource: row.text(4), content: row.bytes(5))
    }
  }

  func state(_ key: String) throws -> String? {
    try database().first("SELECT value FROM state WHERE key = ?", .text(key)) { $0.text(0) }
  }

  /// What is wrong with the file's structure; empty if nothing is.
  func damages() throws -> [String] { try database().damages() }
}
