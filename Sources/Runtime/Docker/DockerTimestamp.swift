/// RFC 3339 times as Docker writes them (`2024-05-01T10:20:30.123456789Z`), in nanoseconds since the epoch.
enum DockerTimestamp {
  /// Go's zero time (year 1), which Docker writes for "never", is 0; so is text that is no time.
  static func nanoseconds(_ text: String) -> Int64 {
    var scanner = Scanner(bytes: Array(text.utf8))
    guard
      let year = scanner.digits(4), scanner.skip(0x2D), let month = scanner.digits(2), scanner.skip(0x2D),
      let day = scanner.digits(2), scanner.skip(0x54) || scanner.skip(0x74), let hour = scanner.digits(2), scanner.skip(0x3A),
      let minute = scanner.digits(2), scanner.skip(0x3A), let second = scanner.digits(2),
      year >= 1970, year < 2262, (1...12).contains(month), (1...31).contains(day)
    else { return 0 }
    let fraction = scanner.skip(0x2E) ? scanner.fraction() : 0
    guard let offset = scanner.offset() else { return 0 }
    let seconds = daysSinceEpoch(year: year, month: month, day: day) * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return seconds * 1_000_000_000 + fraction
  }

  /// Days from 1970-01-01 in the proleptic Gregorian calendar; years start in March, so that the leap day comes last.
  private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private struct Scanner {
    let bytes: [UInt8]
    var position = 0

    mutating func skip(_ byte: UInt8) -> Bool {
      guard position < bytes.count, bytes[position] == byte else { return false }
      position += 1
      return true
    }

    mutating func digit() -> Int64? {
      guard position < bytes.count, (0x30...0x39).contains(bytes[position]) else { return nil }
      defer { position += 1 }
      return Int64(bytes[position] - 0x30)
    }

    mutating func digits(_ count: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<count {
        guard let next = digit() else { return nil }
        value = value * 10 + next
      }
      return value
    }

    /// Up to nine digits, in nanoseconds; more are dropped.
    mutating func fraction() -> Int64 {
      var value: Int64 = 0
      var count = 0
      while let next = digit() {
        if count < 9 { value = value * 10 + next }
        count += 1
      }
      while count < 9 {
        value *= 10
        count += 1
      }
      return value
    }

    /// Seconds east of UTC; nil when there is none or something follows it.
    mutating func offset() -> Int64? {
      if skip(0x5A) || skip(0x7A) { return position == bytes.count ? 0 : nil }
      let sign: Int64 = skip(0x2B) ? 1 : skip(0x2D) ? -1 : 0
      guard sign != 0, let hours = digits(2), skip(0x3A), let minutes = digits(2), position == bytes.count else { return nil }
      return sign * (hours * 3_600 + minutes * 60)
    }
  }
}
