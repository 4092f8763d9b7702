import FoundationEssentials

/// A point in time as Kubernetes writes it: RFC 3339 in UTC (meta/v1 Time, seconds; MicroTime, microseconds).
///
/// It keeps nanoseconds, since container engines report them; `description` and JSON carry whole seconds.
public struct Timestamp: Sendable, Hashable, Comparable {
  /// Nanoseconds since 1970-01-01T00:00:00Z.
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  /// Saturates at the limits of nanoseconds in 64 bits: the years 1677 and 2262.
  public init(seconds: Int64) {
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    self.nanoseconds = overflow ? (seconds < 0 ? .min : .max) : product
  }

  /// The system's wall clock now.
  public static var now: Timestamp {
    let seconds = Date().timeIntervalSince1970
    return Timestamp(nanoseconds: Int64(seconds * 1_000_000) * 1_000)
  }

  /// Whole seconds since the epoch, rounded down.
  public var seconds: Int64 { nanoseconds / 1_000_000_000 - (nanoseconds % 1_000_000_000 < 0 ? 1 : 0) }

  /// The same point in time without its fraction of a second, as it goes over the wire.
  public var truncatedToSeconds: Timestamp { Timestamp(seconds: seconds) }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

  public static func + (time: Timestamp, duration: Duration) -> Timestamp {
    time.adding(duration.wholeNanoseconds)
  }

  public static func - (a: Timestamp, b: Timestamp) -> Duration { .nanoseconds(a.nanoseconds) - .nanoseconds(b.nanoseconds) }

  private func adding(_ count: Int64) -> Timestamp {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(count)
    return Timestamp(nanoseconds: overflow ? (count < 0 ? .min : .max) : sum)
  }
}

extension Timestamp: CustomStringConvertible {
  /// RFC 3339 in UTC with whole seconds: `2026-03-01T12:00:00Z`.
  public var description: String { rfc3339(fractionDigits: 0) }

  /// RFC 3339 in UTC with `fractionDigits` (0…9) digits after the second.
  public func rfc3339(fractionDigits: Int) -> String {
    let secondOfDay = Int(((seconds % 86400) + 86400) % 86400)
    let (year, month, day) = Self.civil(fromDays: (seconds - Int64(secondOfDay)) / 86400)
    var text = Self.padded(year, 4) + "-" + Self.padded(month, 2) + "-" + Self.padded(day, 2) + "T"
    text += Self.padded(secondOfDay / 3600, 2) + ":" + Self.padded(secondOfDay / 60 % 60, 2) + ":"
    text += Self.padded(secondOfDay % 60, 2)
    if fractionDigits > 0 {
      let remainder = nanoseconds % 1_000_000_000
      let fraction = Self.padded(Int(remainder < 0 ? remainder + 1_000_000_000 : remainder), 9)
      text += "." + fraction.prefix(fractionDigits)
    }
    return text + "Z"
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  /// Gregorian date of a day number counted from 1970-01-01.
  private static func civil(fromDays days: Int64) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (Int(year), Int(month), Int(day))
  }

  private static func lastDay(ofMonth month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func days(year: Int, month: Int, day: Int) -> Int64 {
    let year = Int64(month <= 2 ? year - 1 : year)
    let era = (year >= 0 ? year : year - 399) / 400
    let yearOfEra = year - era * 400
    let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

extension Timestamp {
  /// Parses RFC 3339 with `Z` or a numeric offset and 0…9 fraction digits; nil if the text is none.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int? {
      guard range.upperBound <= bytes.count else { return nil }
      var value = 0
      for byte in bytes[range] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int(byte - 0x30)
      }
      return value
    }
    guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] | 0x20 == 0x74, bytes[13] == 0x3A,
      bytes[16] == 0x3A, let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      (1...12).contains(month), (1...Self.lastDay(ofMonth: month, year: year)).contains(day), hour < 24, minute < 60, second < 60
    else { return nil }
    var index = 19
    var fraction: Int64 = 0
    if bytes[index] == 0x2E {
      var scale: Int64 = 100_000_000
      index += 1
      while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
        fraction += Int64(bytes[index] - 0x30) * scale
        scale /= 10
        index += 1
      }
      guard index > 20 else { return nil }
    }
    guard index < bytes.count else { return nil }
    var offset = 0
    switch bytes[index] {
    case 0x5A, 0x7A:
      guard index == bytes.count - 1 else { return nil }
    case 0x2B, 0x2D:
      guard index + 6 == bytes.count, let hours = number(index + 1..<index + 3),
        let minutes = number(index + 4..<index + 6), bytes[index + 3] == 0x3A, hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 3600 + minutes * 60) * (bytes[index] == 0x2B ? 1 : -1)
    default: return nil
    }
    let secondOfDay = hour * 3600 + minute * 60 + second - offset
    self = Timestamp(seconds: Self.days(year: year, month: month, day: day) * 86400 + Int64(secondOfDay)).adding(fraction)
  }
}

extension Timestamp: Codable {
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let time = Timestamp(text) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "\"\(text)\" is no RFC 3339 time, e.g. 2026-03-01T12:00:00Z"))
    }
    self = time
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

extension Duration {
  /// The duration in nanoseconds; fractions of a nanosecond are dropped. Saturates at 292 years.
  public var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return Int64(clamping: Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000))
  }
}
