import Core
import SQLite

/// What the module keeps on the disk: the topics of the cloud's rules, and what the cloud is to hear when it is back. One SQLite file, on a
/// thread of its own; what a call wrote is on the disk when it returns.
actor BusStore {
  struct Limits: Sendable {
    var bytes: Int
    /// Milliseconds.
    var age: Int64
  }

  /// How many messages went for others.
  struct Dropped: Sendable, Hashable {
    var bySize = 0
    var byAge = 0
  }

  struct State: Sendable, Hashable {
    var count = 0
    var bytes = 0
    /// Milliseconds since 1970 when the oldest message came.
    var oldest: Int64?
  }

  static let migrations = Migrations([
    """
    CREATE TABLE IF NOT EXISTS sub_topics (topic TEXT NOT NULL, PRIMARY KEY (topic));
    CREATE TABLE IF NOT EXISTS left_topics (broker TEXT NOT NULL, topic TEXT NOT NULL, PRIMARY KEY (broker, topic));
    CREATE TABLE IF NOT EXISTS outbox (
      sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, time INTEGER NOT NULL, topic TEXT NOT NULL, content TEXT NOT NULL,
      size INTEGER NOT NULL);
    """
  ])

  nonisolated let path: String
  private let agentPath: String
  private let limits: Limits
  private let executor: ThreadExecutor
  private var connection: Connection?
  private var count = 0
  private var bytes = 0

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// - Parameter agentPath: the agent's own database; the file is beside it, and begins with the rules' topics that it has.
  /// - Throws: `ThreadError`.
  init(agentPath: String, limits: Limits) throws {
    self.agentPath = agentPath
    self.limits = limits
    path = DatabaseFile.sibling(of: agentPath, named: "eventbus")
    executor = try ThreadExecutor("eventbus")
  }

  /// Opens the file, unless it is open: everything else does so too.
  /// - Returns: what was wrong with the file, if it was set aside.
  @discardableResult
  func open() throws -> DatabaseFile.Damage? {
    if connection != nil { return nil }
    try DatabaseFile.prepareFolder(of: path)
    let opened = try DatabaseFile.open(path, Self.migrations, inheriting: Inheritance(from: agentPath, tables: ["sub_topics"]))
    connection = opened.connection
    try measure(opened.connection)
    return opened.damage
  }

  func close() { connection = nil }

  private func database() throws -> Connection {
    if connection == nil { try open() }
    guard let connection else { throw MetadataError(.unavailable, "the database \(path) is not open") }
    return connection
  }

  private func measure(_ database: Connection) throws {
    let sums = try database.first("SELECT count(*), coalesce(sum(size), 0) FROM outbox") { (Int($0.integer(0)), Int($0.integer(1))) }
    (count, bytes) = sums ?? (0, 0)
  }

  // MARK: Topics

  /// The topics of rules, in the order of their names.
  func topics() throws -> [String] { try database().rows("SELECT topic FROM sub_topics ORDER BY topic") { $0.text(0) } }

  func add(topic: String) throws {
    let database = try database()
    try database.transaction {
      try database.run("INSERT OR REPLACE INTO sub_topics (topic) VALUES (?)", .text(topic))
      try database.run("DELETE FROM left_topics WHERE topic = ?", .text(topic))
    }
  }

  /// - Parameter brokers: who may still have the topic in a session.
  func remove(topic: String, brokers: [String]) throws {
    let database = try database()
    try database.transaction {
      try database.run("DELETE FROM sub_topics WHERE topic = ?", .text(topic))
      for broker in brokers {
        try database.run("INSERT OR REPLACE INTO left_topics (broker, topic) VALUES (?, ?)", .text(broker), .text(topic))
      }
    }
  }

  /// What a broker's session may still have, though no rule wants it any more.
  func leftTopics(_ broker: String) throws -> [String] {
    try database().rows("SELECT topic FROM left_topics WHERE broker = ? ORDER BY topic", .text(broker)) { $0.text(0) }
  }

  /// The broker has forgotten the topic.
  func forget(topic: String, broker: String) throws {
    try database().run("DELETE FROM left_topics WHERE broker = ? AND topic = ?", .text(broker), .text(topic))
  }

  // MARK: Messages

  var state: State {
    let oldest = try? connection?.first("SELECT min(time) FROM outbox", read: { $0.optionalInteger(0) })
    return State(count: count, bytes: bytes, oldest: count > 0 ? oldest ?? nil : nil)
  }

  /// Puts messages behind those that wait, and keeps the limits.
  func append(_ uploads: [Upload]) throws -> Dropped { try insert(uploads, inFront: false) }

  /// Puts messages before those that wait, in their order.
  func prepend(_ uploads: [Upload]) throws -> Dropped { try insert(uploads, inFront: true) }

  private func insert(_ uploads: [Upload], inFront: Bool) throws -> Dropped {
    let database = try database()
    do {
      return try database.transaction {
        var place: Int64
        if inFront {
          place = (try database.first("SELECT min(sequence) FROM outbox") { $0.integer(0) } ?? 0) - Int64(uploads.count)
        } else {
          place = (try database.first("SELECT max(sequence) FROM outbox") { $0.integer(0) } ?? 0) + 1
        }
        for upload in uploads {
          try database.run(
            "INSERT INTO outbox (sequence, id, time, topic, content, size) VALUES (?, ?, ?, ?, ?, ?)", .integer(place), .text(upload.id),
            .integer(upload.time), .text(upload.topic), .text(String(decoding: upload.content, as: UTF8.self)),
            .integer(Int64(upload.size)))
          place += 1
          count += 1
          bytes += upload.size
        }
        return try trim(database)
      }
    } catch {
      try? measure(database)
      throw error
    }
  }

  private func trim(_ database: Connection) throws -> Dropped {
    var dropped = Dropped()
    dropped.byAge = try dropOld(database)
    while bytes > limits.bytes, count > 0 {
      let oldest = try database.rows("SELECT sequence, size FROM outbox ORDER BY sequence LIMIT 64") { ($0.integer(0), Int($0.integer(1))) }
      if oldest.isEmpty { break }
      for (sequence, size) in oldest where bytes > limits.bytes {
        try database.run("DELETE FROM outbox WHERE sequence = ?", .integer(sequence))
        count -= 1
        bytes -= size
        dropped.bySize += 1
      }
    }
    return dropped
  }

  private func dropOld(_ database: Connection) throws -> Int {
    let limit = Message.Header.now - limits.age
    let sums = try database.first("SELECT count(*), coalesce(sum(size), 0) FROM outbox WHERE time < ?", .integer(limit)) {
      (Int($0.integer(0)), Int($0.integer(1)))
    }
    guard let (old, size) = sums, old > 0 else { return 0 }
    try database.run("DELETE FROM outbox WHERE time < ?", .integer(limit))
    count -= old
    bytes -= size
    return old
  }

  /// The first messages that wait, after those that are too old were dropped.
  /// - Parameter sequence: what it and those before it are about is known; nil: nothing is.
  func first(_ limit: Int, bytes byteLimit: Int, behind sequence: Int64? = nil) throws
    -> (uploads: [Upload], sequences: [Int64], droppedByAge: Int)
  {
    let database = try database()
    // A disk that takes nothing can still be read.
    let dropped = (try? dropOld(database)) ?? 0
    var uploads: [Upload] = []
    var sequences: [Int64] = []
    var size = 0
    let heads = try database.rows(
      "SELECT sequence, size FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?",
      .integer(sequence ?? .min), .integer(Int64(limit))
    ) {
      ($0.integer(0), Int($0.integer(1)))
    }
    for (sequence, rowSize) in heads {
      if !uploads.isEmpty, size + rowSize > byteLimit { break }
      size += rowSize
      let upload = try database.first("SELECT id, time, topic, content FROM outbox WHERE sequence = ?", .integer(sequence)) {
        Upload(id: $0.text(0), time: $0.integer(1), topic: $0.text(2), content: $0.bytes(3))
      }
      guard let upload else { continue }
      uploads.append(upload)
      sequences.append(sequence)
    }
    return (uploads, sequences, dropped)
  }

  func delete(_ sequences: [Int64]) throws {
    let database = try database()
    do {
      try database.transaction {
        for sequence in sequences {
          let size = try database.first("SELECT size FROM outbox WHERE sequence = ?", .integer(sequence)) { Int($0.integer(0)) }
          guard let size else { continue }
          try database.run("DELETE FROM outbox WHERE sequence = ?", .integer(sequence))
          count -= 1
          bytes -= size
        }
      }
    } catch {
      try? measure(database)
      throw error
    }
  }
}
