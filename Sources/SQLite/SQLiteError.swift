import CSQLite

/// What SQLite said no to.
///
/// Values are never part of it: databases hold secrets.
public struct SQLiteError: Error, Sendable, Hashable, CustomStringConvertible {
  /// SQLite's extended result code, https://www.sqlite.org/rescode.html.
  public var code: Int32
  public var message: String
  /// The statement, or what was tried.
  public var context: String

  public init(code: Int32, message: String, context: String) {
    self.code = code
    self.message = message
    self.context = context
  }

  public var description: String { "SQLite: \(context): \(message) (\(code))" }

  private var primaryCode: Int32 { code & 0xFF }

  /// The file is no database, or its content contradicts itself.
  public var isDamage: Bool { primaryCode == SQLITE_CORRUPT || primaryCode == SQLITE_NOTADB }
  /// Another connection kept the database locked for longer than the busy time-out.
  public var isBusy: Bool { primaryCode == SQLITE_BUSY || primaryCode == SQLITE_LOCKED }
  /// No room on the disk.
  public var isFull: Bool { primaryCode == SQLITE_FULL }
  public var isConstraint: Bool { primaryCode == SQLITE_CONSTRAINT }
}
