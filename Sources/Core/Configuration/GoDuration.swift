/// A duration that is written the way Go writes it: `1m30s`, `100ms`, `0s`.
public struct GoDuration: Sendable, Hashable, Comparable {
  public var duration: Duration

  public init(_ duration: Duration) { self.duration = duration }

  public static func milliseconds(_ count: Int64) -> GoDuration { GoDuration(.milliseconds(count)) }
  public static func seconds(_ count: Int64) -> GoDuration { GoDuration(.seconds(count)) }
  public static func minutes(_ count: Int64) -> GoDuration { GoDuration(.seconds(count * 60)) }
  public static func hours(_ count: Int64) -> GoDuration { GoDuration(.seconds(count * 3600)) }
  public static let zero = GoDuration(.zero)

  public static func < (a: GoDuration, b: GoDuration) -> Bool { a.duration < b.duration }

  /// The duration in nanoseconds; saturates at 292 years, as Go's durations end there.
  public var nanoseconds: Int64 {
    let (seconds, attoseconds) = duration.components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return carried ? (seconds < 0 ? .min : .max) : sum
  }
}

extension GoDuration {
  /// Parses Go's notation: an optional sign and numbers with a unit each (ns, us, µs, ms, s, m, h), or a plain `0`; nil if the text is none.
  public init?(_ text: String) {
    var rest = Substring(text)
    var negative = false
    if let sign = rest.first, sign == "-" || sign == "+" {
      negative = sign == "-"
      rest = rest.dropFirst()
    }
    if rest == "0" {
      self.init(.zero)
      return
    }
    guard !rest.isEmpty else { return nil }
    var total: Int128 = 0
    while !rest.isEmpty {
      let whole = rest.prefix { $0.isASCII && $0.isWholeNumber }
      rest = rest.dropFirst(whole.count)
      var fraction: Substring = ""
      if rest.first == "." {
        rest = rest.dropFirst()
        fraction = rest.prefix { $0.isASCII && $0.isWholeNumber }
        rest = rest.dropFirst(fraction.count)
      }
      guard !(whole.isEmpty && fraction.isEmpty), whole.count <= 19 else { return nil }
      let unit = rest.prefix { $0 != "." && !($0.isASCII && $0.isWholeNumber) }
      rest = rest.dropFirst(unit.count)
      let scale: Int128
      switch unit {
      case "ns": scale = 1
      case "us", "µs", "μs": scale = 1_000
      case "ms": scale = 1_000_000
      case "s": scale = 1_000_000_000
      case "m": scale = 60_000_000_000
      case "h": scale = 3_600_000_000_000
      default: return nil
      }
      total += (Int128(whole) ?? 0) * scale
      let digits = fraction.prefix(15)
      var divisor: Int128 = 1
      for _ in digits { divisor *= 10 }
      total += (Int128(digits) ?? 0) * scale / divisor
    }
    guard total <= Int128(Int64.max) else { return nil }
    self.init(.nanoseconds(negative ? -Int64(total) : Int64(total)))
  }
}

extension GoDuration: CustomStringConvertible {
  /// Go's own form: `2m0s`, `1h0m0s`, `1.5s`, `100ms`, `0s`.
  public var description: String {
    let nanoseconds = self.nanoseconds
    if nanoseconds == 0 { return "0s" }
    let magnitude = nanoseconds.magnitude
    let sign = nanoseconds < 0 ? "-" : ""
    func decimal(_ value: UInt64, _ unit: UInt64, _ name: String) -> String {
      let fraction = value % unit
      guard fraction > 0 else { return "\(value / unit)\(name)" }
      let width = String(unit).count - 1
      let digits = String(fraction)
      var padded = String(repeating: "0", count: width - digits.count) + digits
      while padded.last == "0" { padded.removeLast() }
      return "\(value / unit).\(padded)\(name)"
    }
    if magnitude < 1_000 { return "\(sign)\(magnitude)ns" }
    if magnitude < 1_000_000 { return sign + decimal(magnitude, 1_000, "µs") }
    if magnitude < 1_000_000_000 { return sign + decimal(magnitude, 1_000_000, "ms") }
    let second: UInt64 = 1_000_000_000
    let hours = magnitude / (3600 * second)
    let minutes = magnitude / (60 * second) % 60
    var text = sign
    if hours > 0 { text += "\(hours)h" }
    if hours > 0 || minutes > 0 { text += "\(minutes)m" }
    return text + decimal(magnitude % (60 * second), second, "s")
  }
}

extension GoDuration: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let duration = GoDuration(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is no duration, e.g. 1m30s, 100ms, 0s"))
    }
    self = duration
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
