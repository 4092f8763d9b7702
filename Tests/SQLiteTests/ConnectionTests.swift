import Glibc
import Testing

@testable import SQLite

@Suite struct ConnectionTests {
  let scratch = Scratch()

  @Test(arguments: [.null, .integer(.min), .real(1.5), .text("ä\0b"), .text(""), .blob([0, 255]), .blob([])] as [SQLiteValue])
  func everyValueComesBack(value: SQLiteValue) throws {
    let database = try Connection(path: ":memory:")
    try database.execute("CREATE TABLE t (v)")
    #expect(try database.run("INSERT INTO t VALUES (?)", value) == 1)
    let read = try database.first("SELECT v, typeof(v) FROM t") { row -> SQLiteValue in
      switch row.text(1) {
      case "integer": .integer(row.integer(0))
      case "real": .real(row.real(0))
      case "text": .text(row.text(0))
      case "blob": .blob(row.bytes(0))
      default: row.isNull(0) ? .null : "?"
      }
    }
    #expect(read == value)
  }

  @Test func columnsMayBeNull() throws {
    let database = try Connection(path: ":memory:")
    try database.first("SELECT NULL, 3, 'x'") { row in
      #expect(row.count == 3)
      #expect(row.optionalText(0) == nil && row.text(0).isEmpty && row.bytes(0).isEmpty && row.optionalInteger(0) == nil)
      #expect(row.optionalInteger(1) == 3 && row.text(1) == "3")
      #expect(row.optionalText(2) == "x")
    }
  }

  @Test func aTransactionHoldsWholeOrNotAtAll() throws {
    let database = try Connection(path: scratch.file("a.db"))
    try database.execute("CREATE TABLE t (k TEXT PRIMARY KEY)")
    struct Stop: Error {}
    #expect(throws: Stop.self) {
      try database.transaction {
        try database.run("INSERT INTO t VALUES (?)", "one")
        _ = try database.transaction { try database.run("INSERT INTO t VALUES (?)", "two") }
        throw Stop()
      }
    }
    #expect(try database.rows("SELECT k FROM t") { $0.text(0) } == [])
    _ = try database.transaction { try database.run("INSERT INTO t VALUES (?)", "three") }
    // What was committed is in the file for others.
    #expect(try Connection(path: scratch.file("a.db")).rows("SELECT k FROM t") { $0.text(0) } == ["three"])
  }

  @Test func errorsNameTheStatementAndNoValue() throws {
    let database = try Connection(path: ":memory:")
    try database.execute("CREATE TABLE t (k TEXT PRIMARY KEY)")
    try database.run("INSERT INTO t VALUES (?)", "s3cret")
    let error = #expect(throws: SQLiteError.self) { try database.run("INSERT INTO t VALUES (?)", "s3cret") }
    #expect(error?.isConstraint == true)
    #expect(error?.description.contains("INSERT INTO t VALUES (?)") == true)
    #expect(error?.description.contains("s3cret") == false)
    let syntax = #expect(throws: SQLiteError.self) { try database.run("SELEKT") }
    #expect(syntax?.description.contains("SELEKT") == true)
    // A failed statement can be used again.
    #expect(try database.run("INSERT INTO t VALUES (?)", "other") == 1)
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/4481")) func anotherProcessLockIsWaitedForAndThenSaid() throws {
    let holder = try Connection(path: scratch.file("b.db"))
    try holder.execute("CREATE TABLE t (k)")
    let other = try Connection(path: scratch.file("b.db"), busyTimeout: .milliseconds(50))
    try holder.execute("BEGIN IMMEDIATE")
    let error = #expect(throws: SQLiteError.self) { try other.run("INSERT INTO t VALUES (1)") }
    #expect(error?.isBusy == true)
    // Reading goes on beside a writer.
    #expect(try other.rows("SELECT k FROM t") { $0.integer(0) } == [])
    try holder.execute("COMMIT")
    #expect(try other.run("INSERT INTO t VALUES (1)") == 1)
  }

  @Test func onlyTheOwnerMayRead() throws {
    let path = scratch.file("c.db")
    close(open(path, O_CREAT | O_WRONLY, 0o644))
    let database = try Connection(path: path)
    try database.execute("CREATE TABLE t (k)")
    for companion in ["", "-wal", "-shm"] {
      var info = stat()
      #expect(stat(path + companion, &info) == 0)
      #expect(info.st_mode & 0o777 == 0o600)
    }
  }

  @Test func aPathThatCannotBeIsNamed() {
    let error = #expect(throws: SQLiteError.self) { try Connection(path: "/nonexistent/x.db") }
    #expect(error?.description.contains("/nonexistent/x.db") == true)
  }
}
