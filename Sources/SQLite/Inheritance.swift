import CSQLite
import Glibc

/// Rows that a new database takes over from an older one, in which their tables were before.
public struct Inheritance: Sendable, Hashable {
  /// Path of the older database. Without it, or without the tables, nothing is taken over; it is only read.
  public var from: String
  public var tables: [String]

  public init(from: String, tables: [String]) {
    self.from = from
    self.tables = tables
  }

  /// Makes the tables of a new database and copies the rows of those that both databases have, as far as columns have the same names; rows
  /// that contradict the newer tables stay behind. Both are done, or neither.
  func apply(to connection: Connection, after migrations: Migrations) throws {
    let isThere = access(from, R_OK) == 0 && (try? connection.run("ATTACH DATABASE ? AS older", .text(from))) != nil
    defer { if isThere { try? connection.execute("DETACH DATABASE older") } }
    try connection.transaction {
      try migrations.apply(to: connection)
      // A damaged one has nothing to give.
      if isThere { for table in tables { try? copy(table, connection) } }
    }
  }

  private func copy(_ table: String, _ connection: Connection) throws {
    let older = Set(try connection.columns(of: table, in: "older"))
    let columns = try connection.columns(of: table, in: "main").filter(older.contains).map { "\"\($0)\"" }.joined(separator: ", ")
    if columns.isEmpty { return }
    try connection.execute("INSERT OR IGNORE INTO main.\"\(table)\" (\(columns)) SELECT \(columns) FROM older.\"\(table)\"")
  }
}

extension Connection {
  fileprivate func columns(of table: String, in schema: String) throws(SQLiteError) -> [String] {
    try rows("SELECT name FROM pragma_table_info(?, ?)", .text(table), .text(schema)) { $0.text(0) }
  }
}
