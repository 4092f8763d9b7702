import CSQLite
import Glibc

/// A database that is there and sound when it is opened, whatever lay in its place.
public enum DatabaseFile {
  /// What was opened.
  public struct Opened {
    public var connection: Connection
    /// There was no database, or one without any table.
    public var isNew: Bool
    /// Where a damaged file was set aside, and what was wrong with it; nil if the file was sound or new.
    public var damage: Damage?
  }

  public struct Damage: Sendable, Hashable {
    public var reason: String
    public var setAside: String
  }

  /// Opens a database, checks it and brings its tables up to date. A damaged one is renamed to `<path>.damaged-<Unix seconds>`, with its
  /// companions, and an empty one takes its place.
  ///
  /// - Parameter inheritance: what a new database begins with. If it can't be read, that is nothing.
  /// - Throws: `SQLiteError` for everything but damage: a lock, a full disk, missing permissions, a newer program's tables.
  public static func open(_ path: String, _ migrations: Migrations, inheriting inheritance: Inheritance? = nil) throws -> Opened {
    do {
      return try sound(path, migrations, inheritance)
    } catch let error as SQLiteError where error.isDamage {
      let aside = path + ".damaged-\(time(nil))"
      for companion in ["", "-wal", "-shm"] where rename(path + companion, aside + companion) != 0 && errno != ENOENT {
        throw SQLiteError(
          code: error.code, message: "\(error.message); can't set it aside: \(String(cString: strerror(errno)))", context: error.context)
      }
      var opened = try sound(path, migrations, nil)
      opened.damage = Damage(reason: error.message, setAside: aside)
      return opened
    }
  }

  /// A module's own database beside the agent's: `/var/lib/kubeedge/eventbus.db` beside `/var/lib/kubeedge/edgecore.db`. Each can be damaged,
  /// full of work or new without the others.
  public static func sibling(of path: String, named name: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return name + ".db" }
    return path[...slash] + name + ".db"
  }

  /// Makes the folder of a database file, for its owner alone, and the folders above it.
  /// - Throws: `SQLiteError`.
  public static func prepareFolder(of path: String) throws(SQLiteError) {
    guard let slash = path.lastIndex(of: "/"), slash > path.startIndex else { return }
    let folder = String(path[..<slash])
    if mkdir(folder, 0o700) == 0 || errno == EEXIST { return }
    if errno == ENOENT {
      try prepareFolder(of: folder)
      if mkdir(folder, 0o700) == 0 || errno == EEXIST { return }
    }
    throw SQLiteError(code: SQLITE_CANTOPEN, message: String(cString: strerror(errno)), context: "make the folder \(folder)")
  }

  private static func sound(_ path: String, _ migrations: Migrations, _ inheritance: Inheritance?) throws -> Opened {
    let connection = try Connection(path: path)
    if let damage = try connection.damages().first {
      throw SQLiteError(code: SQLITE_CORRUPT, message: damage, context: "check \(path)")
    }
    let isNew = try connection.first("SELECT count(*) FROM sqlite_master") { $0.integer(0) } == 0
    if isNew, let inheritance {
      try inheritance.apply(to: connection, after: migrations)
    } else {
      try migrations.apply(to: connection)
    }
    return Opened(connection: connection, isNew: isNew)
  }
}
