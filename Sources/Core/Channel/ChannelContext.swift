import Synchronization

/// What modules pass messages through: a mailbox per module, groups of modules, and requests that wait for answers.
///
/// Messages of one sender to one module arrive in the order in which they were sent. A full mailbox makes senders wait; nothing is dropped
/// silently.
public final class ChannelContext: Sendable {
  public static let defaultCapacity = 1024

  fileprivate struct Directory {
    var mailboxes: [ModuleName: Mailbox] = [:]
    var groups: [ModuleGroup: [ModuleName]] = [:]
    var discarded: UInt64 = 0
  }

  private let directory = Mutex(Directory())
  private let pending = PendingRequests()
  private let taps = MessageTaps()

  public init() {}

  // MARK: Modules and groups

  /// Gives a module a mailbox, and adds it to a group.
  ///
  /// - Throws: `ChannelError.alreadyRegistered`.
  public func register(_ module: ModuleName, group: ModuleGroup? = nil, capacity: Int = defaultCapacity) throws(ChannelError) {
    let registered = directory.withLock { directory in
      guard directory.mailboxes[module] == nil else { return false }
      directory.mailboxes[module] = Mailbox(module: module, capacity: capacity)
      if let group { directory.add(module, to: group) }
      return true
    }
    guard registered else { throw .alreadyRegistered(module) }
  }

  /// Takes the mailbox away. Whoever waits for the module fails at once: blocked senders, requests without an answer, the receiver.
  public func unregister(_ module: ModuleName) {
    let mailbox = directory.withLock { directory in
      for group in directory.groups.keys { directory.remove(module, from: group) }
      return directory.mailboxes.removeValue(forKey: module)
    }
    guard let mailbox else { return }
    let left = mailbox.close()
    if left > 0 { directory.withLock { $0.discarded += UInt64(left) } }
    pending.fail(module: module, ChannelError.unregistered(module))
  }

  /// The module takes nothing for a while, since it has failed: until it takes a message again a full mailbox makes nobody wait.
  public func leaveUnattended(_ module: ModuleName) { directory.withLock { $0.mailboxes[module] }?.leaveUnattended() }

  /// Adds a registered module to a further group.
  ///
  /// - Throws: `ChannelError.unknownModule`.
  public func add(_ module: ModuleName, to group: ModuleGroup) throws(ChannelError) {
    let added = directory.withLock { directory in
      guard directory.mailboxes[module] != nil else { return false }
      directory.add(module, to: group)
      return true
    }
    guard added else { throw .unknownModule(module) }
  }

  public func remove(_ module: ModuleName, from group: ModuleGroup) {
    directory.withLock { $0.remove(module, from: group) }
  }

  /// The members of a group in the order of their registration.
  public func members(of group: ModuleGroup) -> [ModuleName] { directory.withLock { $0.groups[group] ?? [] } }

  public func isRegistered(_ module: ModuleName) -> Bool { directory.withLock { $0.mailboxes[module] != nil } }

  private func mailbox(_ module: ModuleName) throws(ChannelError) -> Mailbox {
    guard let mailbox = directory.withLock({ $0.mailboxes[module] }) else { throw .unknownModule(module) }
    return mailbox
  }

  private func mailboxes(of group: ModuleGroup) throws(ChannelError) -> [Mailbox] {
    let mailboxes = directory.withLock { directory in (directory.groups[group] ?? []).compactMap { directory.mailboxes[$0] } }
    guard !mailboxes.isEmpty else { throw .unknownGroup(group) }
    return mailboxes
  }

  // MARK: One way

  /// Puts a message into a module's mailbox, waiting while it is full.
  ///
  /// - Throws: `ChannelError.unknownModule`, `.unregistered` if that happens while waiting, `CancellationError`.
  public nonisolated(nonsending) func send(_ message: Message, to module: ModuleName) async throws {
    let mailbox = try mailbox(module)
    taps.note(.send, message, to: module)
    if case .delivered = mailbox.deliver(message) { return }
    try await mailbox.send(message)
  }

  /// Puts a message into the mailboxes of all members of a group, waiting for those that are full.
  ///
  /// - Throws: `ChannelError.unknownGroup`, `CancellationError`.
  public nonisolated(nonsending) func send(_ message: Message, toGroup group: ModuleGroup) async throws {
    var full: [Mailbox] = []
    for mailbox in try mailboxes(of: group) {
      taps.note(.send, message, to: mailbox.module)
      if case .full = mailbox.deliver(message) { full.append(mailbox) }
    }
    for mailbox in full {
      // A member that leaves meanwhile is no member any more.
      do { try await mailbox.send(message) } catch is ChannelError {}
    }
  }

  /// The messages of a module, for its one consumer. Empty if the module is not registered.
  public func messages(for module: ModuleName) -> Messages { Messages(mailbox: directory.withLock { $0.mailboxes[module] }) }

  /// The next message of a module.
  ///
  /// - Throws: `ChannelError.unknownModule`, `.unregistered`, `.superseded`, `CancellationError`.
  public nonisolated(nonsending) func receive(_ module: ModuleName) async throws -> Message {
    switch await (try mailbox(module)).receive() {
    case .message(let message): return message
    case .closed: throw ChannelError.unregistered(module)
    case .superseded: throw ChannelError.superseded(module)
    case .cancelled: throw CancellationError()
    }
  }

  // MARK: Requests

  /// Sends a message and waits for its answer. `timeout` covers both.
  ///
  /// - Throws: `ChannelError.unknownModule`, `.timeout`, `.unregistered`, `CancellationError`.
  public nonisolated(nonsending) func request(
    _ message: Message, to module: ModuleName, timeout: Duration = .seconds(30)
  ) async throws -> Message {
    let mailbox = try mailbox(module)
    var message = message
    if !message.header.sync { message.header.sync = true }
    // The waiter must exist before the message does: an answer can be faster than the way back here.
    pending.add(message.id, module: module, timeout: timeout)
    taps.note(.request, message, to: module)
    switch mailbox.deliver(message, parks: true) {
    case .delivered, .full: break
    case .parked(let ticket): pending.park(message.id, mailbox: mailbox, ticket: ticket)
    case .closed:
      pending.remove(message.id)
      throw ChannelError.unregistered(module)
    }
    return try await pending.answer(to: message.id)
  }

  /// Answers a request. The reply's parent becomes the request.
  ///
  /// - Returns: false if nobody waits for it any more; the answer is counted and dropped.
  @discardableResult
  public func respond(to request: Message, with reply: Message) -> Bool {
    var reply = reply
    if reply.parentID != request.id { reply.header.parentID = request.id }
    return respond(with: reply)
  }

  /// Hands an answer to whoever waits for its parent.
  ///
  /// - Returns: false if nobody waits for it any more; the answer is counted and dropped.
  @discardableResult
  public func respond(with reply: Message) -> Bool {
    taps.note(.answer, reply, to: ModuleName(""))
    return pending.deliver(reply, to: reply.parentID)
  }

  /// Asks all members of a group and waits until each has answered or failed. Each gets a copy with an id of its own.
  ///
  /// - Throws: `ChannelError.unknownGroup`, `CancellationError`.
  public func request(
    _ message: Message, toGroup group: ModuleGroup, timeout: Duration = .seconds(30)
  ) async throws -> [ModuleName: Result<Message, ChannelError>] {
    let modules = try mailboxes(of: group).map(\.module)
    return try await withThrowingTaskGroup(of: (ModuleName, Result<Message, ChannelError>).self) { tasks in
      for module in modules {
        var copy = message
        copy.header.id = MessageID.make()
        tasks.addTask { [copy] in
          do {
            return (module, .success(try await self.request(copy, to: module, timeout: timeout)))
          } catch let error as ChannelError {
            return (module, .failure(error))
          }
        }
      }
      var answers: [ModuleName: Result<Message, ChannelError>] = [:]
      for try await (module, answer) in tasks { answers[module] = answer }
      return answers
    }
  }

  // MARK: Looking in

  /// All messages that pass from now on, for people. If it is read too slowly messages are missing from it, and it says how many.
  public func tap(capacity: Int = 256) -> AsyncStream<TappedMessage> { taps.tap(capacity: capacity) }

  public func statistics() -> ChannelStatistics {
    let (mailboxes, groups, discarded) = directory.withLock { (Array($0.mailboxes.values), $0.groups, $0.discarded) }
    let pending = pending.statistics
    return ChannelStatistics(
      mailboxes: mailboxes.map(\.statistics).sorted { $0.module.rawValue < $1.module.rawValue },
      groups: Dictionary(uniqueKeysWithValues: groups.map { ($0.key.rawValue, $0.value) }), pendingRequests: pending.pending,
      requests: pending.requests, answers: pending.answers, lateAnswers: pending.late, timeouts: pending.timeouts, discarded: discarded,
      tapLosses: taps.losses)
  }
}

extension ChannelContext.Directory {
  fileprivate mutating func add(_ module: ModuleName, to group: ModuleGroup) {
    if groups[group]?.contains(module) != true { groups[group, default: []].append(module) }
  }

  fileprivate mutating func remove(_ module: ModuleName, from group: ModuleGroup) {
    groups[group]?.removeAll { $0 == module }
    if groups[group]?.isEmpty == true { groups[group] = nil }
  }
}
