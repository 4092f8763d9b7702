/// Lets messages gather in the socket while many come one after the other: the cloud cuts what it carries into 256 bytes, and each piece
/// would wake several threads on its way, and the cloud's, too. Someone who types, or waits for an answer before going on, isn't held up.
struct Pace {
  /// Messages that come in less than this are a flow, if so many in a row do.
  private static let quick = (time: Duration.milliseconds(2), count: 4)
  /// So long are they left alone.
  private static let rest = Duration.milliseconds(4)

  private var last: ContinuousClock.Instant?
  private var count = 0

  /// All that had come was taken. Waits for more if that is likely to come.
  mutating func keep() async {
    let isQuick = last.map { ContinuousClock.now - $0 < Self.quick.time } ?? false
    count = isQuick ? count + 1 : 0
    if count >= Self.quick.count { try? await Task.sleep(for: Self.rest) }
    last = .now
  }
}
