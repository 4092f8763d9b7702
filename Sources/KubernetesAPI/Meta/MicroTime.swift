/// A point in time with microseconds (meta/v1 MicroTime): `2026-03-01T12:00:00.000000Z`.
public struct MicroTime: Sendable, Hashable {
  public var time: Timestamp
  public init(_ time: Timestamp) { self.time = time }
}

extension MicroTime: CustomStringConvertible {
  /// Always six digits after the second.
  public var description: String { time.rfc3339(fractionDigits: 6) }
}

extension MicroTime: Codable {
  public init(from decoder: any Decoder) throws { self.init(try Timestamp(from: decoder)) }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
