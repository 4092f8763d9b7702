/// A value that is bound to a statement or read from a row: SQLite's five storage classes.
public enum SQLiteValue: Sendable, Hashable {
  case null
  case integer(Int64)
  case real(Double)
  case text(String)
  case blob([UInt8])
}

extension SQLiteValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByNilLiteral {
  public init(stringLiteral value: String) { self = .text(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(nilLiteral: ()) { self = .null }

  /// NULL for nil.
  public init(_ text: String?) { self = text.map { .text($0) } ?? .null }
  public init(_ integer: Int64?) { self = integer.map { .integer($0) } ?? .null }
}
