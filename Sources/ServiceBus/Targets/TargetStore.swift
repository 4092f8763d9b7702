import Core
import SQLite

/// The URLs in a database file, which outlives the agent. The cloud tells each only once.
actor TargetStore {
  private static let migrations = Migrations(["CREATE TABLE IF NOT EXISTS target_urls (url TEXT NOT NULL, PRIMARY KEY (url));"])

  private nonisolated let path: String
  private let inheritance: Inheritance
  private let executor: ThreadExecutor
  private var connection: Connection?

  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// - Parameter inheritance: from the database in which the table was before.
  /// - Throws: `ThreadError`.
  init(path: String, inheriting inheritance: Inheritance) throws(ThreadError) {
    self.path = path
    self.inheritance = inheritance
    executor = try ThreadExecutor("servicebus")
  }

  /// Writes changes down, all or none.
  ///
  /// - Parameter known: what was in the file; it is written again if the file was damaged.
  /// - Returns: what is in the file now, and what was wrong with it if it was set aside.
  /// - Throws: `SQLiteError`; then nothing was changed.
  func apply(_ changes: [TargetChange], known: TargetSet) throws -> (set: TargetSet, damage: DatabaseFile.Damage?) {
    do {
      var damage: DatabaseFile.Damage?
      let connection: Connection
      if let open = self.connection {
        connection = open
      } else {
        try DatabaseFile.prepareFolder(of: path)
        let opened = try DatabaseFile.open(path, Self.migrations, inheriting: inheritance)
        damage = opened.damage
        connection = opened.connection
        self.connection = connection
      }
      let set = try connection.transaction {
        let stored = TargetSet(try connection.rows("SELECT url FROM target_urls") { $0.text(0) })
        var set = damage == nil ? stored : TargetSet(stored.urls.union(known.urls))
        for change in changes { set.apply(change) }
        for url in stored.urls.subtracting(set.urls) { try connection.run("DELETE FROM target_urls WHERE url = ?", .text(url)) }
        for url in set.urls.subtracting(stored.urls) { try connection.run("INSERT INTO target_urls VALUES (?)", .text(url)) }
        return set
      }
      return (set, damage)
    } catch {
      // Opened anew it is checked, and set aside if it is damaged.
      connection = nil
      throw error
    }
  }

  func close() { connection = nil }
}
