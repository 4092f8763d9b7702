import FoundationEssentials

/// When to renew a certificate, and when to say that its end comes near.
struct CertificateSchedule: Sendable, Hashable {
  static let day: TimeInterval = 86_400
  /// Days before the end.
  static let warnings = [30, 14, 7]

  let notBefore: Date
  let notAfter: Date
  /// Nil if it is not renewed.
  let renewal: Date?

  /// - Parameter spread: 0…1: where between 70 % and 90 % of the certificate's life it is renewed. Random, so that nodes that joined
  ///   together don't come together.
  init(notBefore: Date, notAfter: Date, renews: Bool, spread: Double = .random(in: 0...1)) {
    self.notBefore = notBefore
    self.notAfter = notAfter
    renewal = renews ? notBefore.addingTimeInterval(notAfter.timeIntervalSince(notBefore) * (0.7 + 0.2 * spread)) : nil
  }

  func isDue(at now: Date) -> Bool { renewal.map { $0 <= now } ?? false }

  /// The number of days, one of `warnings` or 0 for an expired certificate, whose warning is due; nil for none.
  func warning(at now: Date) -> Int? {
    let left = notAfter.timeIntervalSince(now)
    return left <= 0 ? 0 : Self.warnings.reversed().first { left <= Double($0) * Self.day }
  }

  /// Seconds until there is something to do or to say; at most an hour, since clocks can be set.
  func pause(at now: Date) -> TimeInterval {
    let dates = [renewal, notAfter].compactMap { $0 } + Self.warnings.map { notAfter.addingTimeInterval(-Double($0) * Self.day) }
    let next = dates.map { $0.timeIntervalSince(now) }.filter { $0 > 0 }.min() ?? 3600
    return min(next, 3600)
  }
}
