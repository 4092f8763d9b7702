/// What a client subscribes: a topic in which `+` stands for any level and a last `#` for all that follow.
public struct TopicFilter: Sendable, Hashable {
  public let text: String
  private let levels: [[UInt8]]

  private static let plus: [UInt8] = [0x2B]
  private static let hash: [UInt8] = [0x23]

  /// Nil if the text is no filter: empty, longer than 65,535 bytes, with a NUL, or with wildcards where none may be.
  public init?(_ text: String) {
    guard Topic.isSound(text) else { return nil }
    let levels = text.utf8.split(separator: 0x2F, omittingEmptySubsequences: false).map { Array($0) }
    for (index, level) in levels.enumerated() {
      if level.contains(0x2B), level != Self.plus { return nil }
      if level.contains(0x23), level != Self.hash || index != levels.count - 1 { return nil }
    }
    self.text = text
    self.levels = levels
  }

  public var hasWildcards: Bool { levels.contains { $0 == Self.plus || $0 == Self.hash } }

  /// Whether a message of that topic comes to those who subscribed the filter. Topics that begin with `$` match no wildcard at the start.
  public func matches(_ topic: String) -> Bool {
    var topic = topic
    return topic.withUTF8 { matches($0) }
  }

  private func matches(_ topic: UnsafeBufferPointer<UInt8>) -> Bool {
    if topic.first == 0x24, let first = levels.first, first == Self.plus || first == Self.hash { return false }
    var start = 0
    for (index, level) in levels.enumerated() {
      if level == Self.hash { return true }
      // The topic has ended: only `a/#` takes `a` too.
      guard start <= topic.count else { return false }
      var end = start
      while end < topic.count, topic[end] != 0x2F { end += 1 }
      if level != Self.plus {
        guard level.count == end - start else { return false }
        for offset in 0..<level.count where level[offset] != topic[start + offset] { return false }
      }
      start = end + 1
      if index == levels.count - 1 { return start > topic.count }
    }
    return false
  }
}

/// The name under which a message is published.
public enum Topic {
  /// Whether a message can be published under it: 1 to 65,535 bytes, no wildcards, no NUL.
  public static func isValid(_ text: String) -> Bool {
    isSound(text) && !text.utf8.contains { $0 == 0x2B || $0 == 0x23 }
  }

  static func isSound(_ text: String) -> Bool {
    let count = text.utf8.count
    return count > 0 && count <= 65_535 && !text.utf8.contains(0)
  }
}
