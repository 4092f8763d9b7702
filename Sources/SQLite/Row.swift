import CSQLite

/// The row that a statement stands on. It is valid inside the closure that it is given to.
///
/// Columns count from 0. What has another type is converted as SQLite does it: the text "12" is the integer 12.
public struct Row: ~Copyable {
  let statement: OpaquePointer

  public var count: Int { Int(sqlite3_column_count(statement)) }

  /// "" for NULL.
  public func text(_ column: Int) -> String { optionalText(column) ?? "" }

  public func optionalText(_ column: Int) -> String? {
    guard let text = sqlite3_column_text(statement, Int32(column)) else { return nil }
    return String(decoding: UnsafeBufferPointer(start: text, count: length(column)), as: UTF8.self)
  }

  /// The bytes of a text or a blob; empty for NULL.
  public func bytes(_ column: Int) -> [UInt8] {
    guard let bytes = sqlite3_column_blob(statement, Int32(column)) else { return [] }
    return Array(UnsafeRawBufferPointer(start: bytes, count: length(column)))
  }

  /// 0 for NULL.
  public func integer(_ column: Int) -> Int64 { sqlite3_column_int64(statement, Int32(column)) }

  public func optionalInteger(_ column: Int) -> Int64? { isNull(column) ? nil : integer(column) }

  public func real(_ column: Int) -> Double { sqlite3_column_double(statement, Int32(column)) }

  public func isNull(_ column: Int) -> Bool { sqlite3_column_type(statement, Int32(column)) == SQLITE_NULL }

  private func length(_ column: Int) -> Int { Int(sqlite3_column_bytes(statement, Int32(column))) }
}
