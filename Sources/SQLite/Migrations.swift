import CSQLite

/// The steps that lead from an empty file to the tables of today. Steps are only ever added at the end.
public struct Migrations: Sendable {
  /// SQL that makes version n of version n − 1, n counting from 1. The first steps have to bear tables that exist: databases of
  /// other programs are taken over.
  public var steps: [String]

  public init(_ steps: [String]) { self.steps = steps }

  /// Brings a database up to date, all steps or none.
  /// - Throws: `SQLiteError`, also if the database was made by a newer program.
  public func apply(to connection: Connection) throws {
    let version = try connection.schemaVersion
    guard version <= steps.count else {
      throw SQLiteError(
        code: SQLITE_ERROR, message: "its tables are of version \(version), this program knows up to \(steps.count)",
        context: "migrate \(connection.path)")
    }
    guard version < steps.count else { return }
    try connection.transaction {
      for step in steps[version...] { try connection.execute(step) }
      try connection.execute("PRAGMA user_version = \(steps.count)")
    }
  }
}
