import Glibc
import Testing

@testable import SQLite

@Suite struct DatabaseFileTests {
  let scratch = Scratch()
  let migrations = Migrations(["CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT)"])

  @Test func tablesAreMadeOnce() throws {
    for expected in 0...1 {
      let opened = try DatabaseFile.open(scratch.file("a.db"), migrations)
      #expect(opened.damage == nil)
      #expect(try opened.connection.schemaVersion == 1)
      #expect(try opened.connection.rows("SELECT key FROM meta") { $0.text(0) }.count == expected)
      try opened.connection.run("INSERT INTO meta VALUES (?, ?)", .text("default/pod/web-\(expected)"), "{}")
    }
  }

  @Test func laterStepsAreAdded() throws {
    _ = try DatabaseFile.open(scratch.file("a.db"), migrations).connection.run("INSERT INTO meta VALUES ('k', 'v')")
    let more = Migrations(migrations.steps + ["ALTER TABLE meta ADD COLUMN type TEXT NOT NULL DEFAULT 'pod'"])
    #expect(try DatabaseFile.open(scratch.file("a.db"), more).connection.rows("SELECT type FROM meta") { $0.text(0) } == ["pod"])
    // A program that is older than the file leaves it alone.
    let error = #expect(throws: SQLiteError.self) { try DatabaseFile.open(scratch.file("a.db"), migrations) }
    #expect(error?.description.contains("version 2") == true)
  }

  @Test func aNewDatabaseBeginsWithTheRowsOfAnOlderOne() throws {
    let older = try Connection(path: scratch.file("old.db"))
    try older.execute("CREATE TABLE meta (key TEXT, value TEXT, flavour TEXT); INSERT INTO meta VALUES ('a', '1', 'x'), ('a', '2', 'y')")
    let inheritance = Inheritance(from: scratch.file("old.db"), tables: ["meta", "absent"])
    func rows() throws -> [String] {
      try DatabaseFile.open(scratch.file("new.db"), migrations, inheriting: inheritance).connection
        .rows("SELECT key || value FROM meta ORDER BY key") { $0.text(0) }
    }
    #expect(try rows() == ["a1"])
    try older.execute("INSERT INTO meta VALUES ('b', '1', 'x')")
    #expect(try rows() == ["a1"], "only once")
  }

  @Test(arguments: ["absent.db", "damaged.db"]) func anOlderDatabaseThatCannotBeReadIsNone(name: String) throws {
    let file = try #require(fopen(scratch.file("damaged.db"), "w"))
    fputs(String(repeating: "no database", count: 1000), file)
    fclose(file)
    let opened = try DatabaseFile.open(
      scratch.file("new.db"), migrations, inheriting: Inheritance(from: scratch.file(name), tables: ["meta"]))
    #expect(try opened.connection.rows("SELECT key FROM meta") { $0.text(0) } == [])
    try opened.connection.run("INSERT INTO meta VALUES ('k', 'v')")
  }

  @Test func siblingsLieBeside() {
    #expect(DatabaseFile.sibling(of: "/var/lib/kubeedge/edgecore.db", named: "eventbus") == "/var/lib/kubeedge/eventbus.db")
    #expect(DatabaseFile.sibling(of: "edgecore.db", named: "eventbus") == "eventbus.db")
  }

  @Test func aStepThatFailsLeavesNothing() throws {
    let broken = Migrations(["CREATE TABLE a (k)", "CREATE TABLE a (k)"])
    #expect(throws: SQLiteError.self) { try DatabaseFile.open(scratch.file("a.db"), broken) }
    let connection = try Connection(path: scratch.file("a.db"))
    #expect(try connection.schemaVersion == 0)
    #expect(try connection.rows("SELECT name FROM sqlite_master") { $0.text(0) } == [])
  }

  /// A database of another program, with rows and without a version.
  @Test func aForeignDatabaseIsTakenOver() throws {
    try Connection(path: scratch.file("a.db")).execute(
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT); INSERT INTO meta VALUES ('k', 'v')")
    let opened = try DatabaseFile.open(scratch.file("a.db"), migrations)
    #expect(try opened.connection.rows("SELECT value FROM meta") { $0.text(0) } == ["v"])
  }

  enum Damage: CaseIterable { case garbage, halved, overwritten }

  @Test(arguments: Damage.allCases)
  func aDamagedFileIsSetAside(damage: Damage) throws {
    let path = scratch.file("a.db")
    do {
      let connection = try DatabaseFile.open(path, migrations).connection
      for number in 0..<2000 {
        try connection.run(
          "INSERT INTO meta VALUES (?, ?)", .text("default/configmap/\(number)"), .text(String(repeating: "x", count: 200)))
      }
      try connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }
    let size = try scratch.size(path)
    switch damage {
    case .garbage: try scratch.overwrite(path, from: 0, [UInt8](repeating: 0x41, count: 8192))
    case .halved: truncate(path, off_t(size / 2 / 4096 * 4096))
    case .overwritten: try scratch.overwrite(path, from: 4096, [UInt8](repeating: 0xFF, count: 65536))
    }
    let opened = try DatabaseFile.open(path, migrations)
    let aside = try #require(opened.damage).setAside
    #expect(access(aside, F_OK) == 0)
    #expect(try opened.connection.rows("SELECT key FROM meta") { $0.text(0) } == [])
    try opened.connection.run("INSERT INTO meta VALUES ('k', 'v')")
  }

  @Test func anEmptyFileIsANewDatabase() throws {
    close(open(scratch.file("a.db"), O_CREAT | O_WRONLY, 0o600))
    #expect(try DatabaseFile.open(scratch.file("a.db"), migrations).damage == nil)
  }
}
