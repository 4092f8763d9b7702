import CSQLite
import Glibc

/// One connection to a database file. It belongs to one thread or actor at a time; every call may block on the disk.
///
/// Statements are prepared once and kept. The file is in write-ahead mode and every transaction is on the disk when its call returns, so that
/// what was acknowledged survives a loss of power. The file and its companions can only be read by their owner.
public final class Connection {
  public let path: String
  private let database: OpaquePointer
  private var statements: [String: OpaquePointer] = [:]
  private var transactionDepth = 0

  /// Opens the file, and creates it if there is none.
  ///
  /// - Parameters:
  ///   - path: `:memory:` for a database that ends with the connection.
  ///   - busyTimeout: How long to wait for another process's lock.
  /// - Throws: `SQLiteError`; `isDamage` if the file is no database.
  public init(path: String, busyTimeout: Duration = .seconds(5)) throws(SQLiteError) {
    self.path = path
    if path != ":memory:" {
      // SQLite gives its companions (-wal, -shm) the permissions of the file.
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else {
        throw SQLiteError(code: SQLITE_CANTOPEN, message: String(cString: strerror(errno)), context: "open \(path)")
      }
      fchmod(descriptor, 0o600)
      close(descriptor)
    }
    var handle: OpaquePointer?
    // One thread at a time uses it: no mutex of SQLite's is needed.
    let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(handle)
      throw SQLiteError(code: code, message: message, context: "open \(path)")
    }
    database = handle
    sqlite3_busy_timeout(handle, Int32(clamping: Int64(busyTimeout / .milliseconds(1))))
    try execute("PRAGMA journal_mode = WAL")
    try execute("PRAGMA synchronous = FULL")
    // The log is cut at checkpoints, so that a burst doesn't keep the disk.
    try execute("PRAGMA journal_size_limit = 4194304")
    try execute("PRAGMA foreign_keys = ON")
  }

  deinit {
    for statement in statements.values { sqlite3_finalize(statement) }
    sqlite3_close_v2(database)
  }

  // MARK: Statements

  /// Runs statements that take and give nothing, divided by semicolons.
  public func execute(_ sql: String) throws(SQLiteError) {
    let code = sqlite3_exec(database, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw error(code, sql) }
  }

  /// Runs one statement; returns how many rows it changed.
  @discardableResult
  public func run(_ sql: String, _ values: SQLiteValue...) throws(SQLiteError) -> Int {
    try step(sql, values) { _ in }
    return Int(sqlite3_changes64(database))
  }

  /// What `read` makes of each row of a query.
  public func rows<Value>(_ sql: String, _ values: SQLiteValue..., read: (borrowing Row) -> Value) throws(SQLiteError) -> [Value] {
    var result: [Value] = []
    try step(sql, values) { result.append(read($0)) }
    return result
  }

  /// What `read` makes of the first row of a query; nil if there is none.
  public func first<Value>(_ sql: String, _ values: SQLiteValue..., read: (borrowing Row) -> Value) throws(SQLiteError) -> Value? {
    var result: Value?
    try step(sql, values) { if result == nil { result = read($0) } }
    return result
  }

  private func step(_ sql: String, _ values: [SQLiteValue], _ row: (borrowing Row) -> Void) throws(SQLiteError) {
    let statement = try prepared(sql)
    defer {
      sqlite3_reset(statement)
      sqlite3_clear_bindings(statement)
    }
    for (index, value) in values.enumerated() { try bind(value, Int32(index + 1), statement, sql) }
    while true {
      let code = sqlite3_step(statement)
      switch code {
      case SQLITE_ROW: row(Row(statement: statement))
      case SQLITE_DONE: return
      default: throw error(code, sql)
      }
    }
  }

  private func prepared(_ sql: String) throws(SQLiteError) -> OpaquePointer {
    if let statement = statements[sql] { return statement }
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v3(database, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
    guard code == SQLITE_OK, let statement else { throw error(code, sql) }
    statements[sql] = statement
    return statement
  }

  private func bind(_ value: SQLiteValue, _ index: Int32, _ statement: OpaquePointer, _ sql: String) throws(SQLiteError) {
    let code =
      switch value {
      case .null: sqlite3_bind_null(statement, index)
      case .integer(let value): sqlite3_bind_int64(statement, index, value)
      case .real(let value): sqlite3_bind_double(statement, index, value)
      case .text(let value): value.withCString { csqlite_bind_text(statement, index, $0, UInt64(value.utf8.count)) }
      case .blob(let value): value.withUnsafeBytes { csqlite_bind_blob(statement, index, $0.baseAddress, UInt64($0.count)) }
      }
    guard code == SQLITE_OK else { throw error(code, sql) }
  }

  // MARK: Transactions

  /// Runs `body` as a whole or not at all. One within another is part of the outer one.
  public func transaction<Value>(_ body: () throws -> Value) throws -> Value {
    if transactionDepth > 0 { return try body() }
    try execute("BEGIN IMMEDIATE")
    transactionDepth += 1
    defer { transactionDepth -= 1 }
    do {
      let value = try body()
      try execute("COMMIT")
      return value
    } catch {
      // SQLite may have rolled back by itself.
      if sqlite3_get_autocommit(database) == 0 { try? execute("ROLLBACK") }
      throw error
    }
  }

  // MARK: The file

  /// What is wrong with the database's structure; empty if nothing is. Reads all of it.
  public func damages() throws(SQLiteError) -> [String] {
    let lines = try rows("PRAGMA quick_check") { $0.text(0) }
    return lines == ["ok"] ? [] : lines
  }

  /// The number that migrations keep in the file; 0 in a new one.
  public var schemaVersion: Int {
    get throws(SQLiteError) { Int(try first("PRAGMA user_version") { $0.integer(0) } ?? 0) }
  }

  private func error(_ code: Int32, _ context: String) -> SQLiteError {
    SQLiteError(code: code, message: String(cString: sqlite3_errmsg(database)), context: context)
  }
}
