import Glibc

/// Times as Kubernetes writes them.
enum WireTime {
  /// Seconds since 1970.
  static var seconds: Int { Int(time(nil)) }

  /// `2026-01-02T03:04:05Z`
  static func text(_ seconds: Int = WireTime.seconds) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func pad(_ number: Int32, _ width: Int = 2) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
    return "\(pad(parts.tm_year + 1900, 4))-\(pad(parts.tm_mon + 1))-\(pad(parts.tm_mday))"
      + "T\(pad(parts.tm_hour)):\(pad(parts.tm_min)):\(pad(parts.tm_sec))Z"
  }

  /// Seconds since 1970 of an RFC 3339 time in UTC; fractions are cut off.
  static func parse(_ text: String) -> Int? {
    let numbers = text.split(whereSeparator: { !$0.isNumber }).prefix(6).compactMap { Int32($0) }
    guard numbers.count == 6, text.hasSuffix("Z") else { return nil }
    var parts = tm()
    parts.tm_year = numbers[0] - 1900
    parts.tm_mon = numbers[1] - 1
    parts.tm_mday = numbers[2]
    parts.tm_hour = numbers[3]
    parts.tm_min = numbers[4]
    parts.tm_sec = numbers[5]
    return Int(timegm(&parts))
  }
}

extension Duration {
  var wholeSeconds: Int { Int(components.seconds) }
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
  var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
