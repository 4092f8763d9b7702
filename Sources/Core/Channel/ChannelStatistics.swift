/// What went through the channel context, and what waits in it.
public struct ChannelStatistics: Sendable, Hashable, Codable {
  public struct Mailbox: Sendable, Hashable, Codable {
    public var module: ModuleName
    public var capacity: Int
    /// Messages that wait to be received.
    public var depth: Int
    public var highestDepth: Int
    /// Messages that wait for room in the mailbox.
    public var waitingSenders: Int
    /// Messages that got into the mailbox since it was registered.
    public var sent: UInt64
    public var received: UInt64
    /// How often a sender had to wait for room.
    public var waits: UInt64
  }

  /// By module name.
  public var mailboxes: [Mailbox]
  /// The members of each group, in the order of their registration.
  public var groups: [String: [ModuleName]]
  public var pendingRequests: Int
  public var requests: UInt64
  public var answers: UInt64
  /// Answers that nobody waits for (any more); they were dropped.
  public var lateAnswers: UInt64
  public var timeouts: UInt64
  /// Messages left in mailboxes when they were unregistered.
  public var discarded: UInt64
  /// Messages that taps were too slow for.
  public var tapLosses: UInt64
}
