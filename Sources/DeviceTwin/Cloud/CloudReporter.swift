import Core
import Logging
import Synchronization

/// Tells the cloud what it is owed: the newest of each device, one report of a device at a time, until the cloud has confirmed it.
///
/// What changes while a report is on its way goes with the next one. A report without an answer is repeated more and more rarely: the cloud
/// doesn't answer for devices that it doesn't know.
final class CloudReporter: Sendable {
  /// Reports on their way at most.
  private static let limit = 32
  /// A device that speaks speaks on: what it says within that time goes together.
  private static let gathering = Duration.milliseconds(50)
  /// Confirmations may be lost: what they are about is told once more then.
  private static let writing = Duration.milliseconds(500)
  private static let patience = Duration.seconds(30)
  private static let firstPause = Duration.seconds(10)
  private static let longestPause = Duration.seconds(600)

  private let book: DeviceBook
  private let channel: ChannelContext
  private let logger: Logger
  private let state = Mutex(State())
  private let changes: AsyncStream<Void>
  private let changed: AsyncStream<Void>.Continuation
  private let confirmations: AsyncStream<Void>
  private let confirmed: AsyncStream<Void>.Continuation

  fileprivate struct State {
    var isConnected = false
    /// In the order of their turn.
    var waiting: [DeviceID] = []
    var isWaiting: Set<DeviceID> = []
    var onTheirWay: Set<DeviceID> = []
    /// Changed again while on their way.
    var again: Set<DeviceID> = []
    var failures: [DeviceID: Int] = [:]
  }

  init(book: DeviceBook, channel: ChannelContext, logger: Logger) {
    self.book = book
    self.channel = channel
    self.logger = logger
    (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    (confirmations, confirmed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  /// Something about the devices is new to the cloud.
  func note(_ ids: [DeviceID]) {
    state.withLock { state in for id in ids { state.add(id) } }
    changed.yield()
  }

  func connectionChanged(_ connection: CloudConnection) async {
    state.withLock { state in
      state.isConnected = connection == .connected
      state.failures = [:]
      state.waiting = []
      state.isWaiting = []
    }
    // After that: what is owed from now on is noted, and what was owed before is found here.
    if connection == .connected { note(await book.indebted.sorted { $0.text < $1.text }) }
  }

  /// Reports until the task is cancelled.
  func run() async {
    await withDiscardingTaskGroup { reports in
      reports.addTask { await self.writeConfirmations() }
      for await _ in changes {
        do { try await Task.sleep(for: Self.gathering, tolerance: .milliseconds(10)) } catch { break }
        while let id = state.withLock({ $0.next(limit: Self.limit) }) {
          reports.addTask { await self.tell(id) }
        }
      }
      reports.cancelAll()
    }
  }

  private func tell(_ id: DeviceID) async {
    guard let report = await book.report(of: id) else {
      done(id, .success(()))
      return
    }
    let result: Result<Void, any Error>
    var isOwed = true
    do {
      for message in report.messages { try await confirm(message) }
      isOwed = await book.confirm(report)
      confirmed.yield()
      result = .success(())
    } catch {
      result = .failure(error)
    }
    guard let pause = done(id, result, isOwed: isOwed) else { return }
    do { try await Task.sleep(for: pause, tolerance: pause / 10) } catch { return }
    note([id])
  }

  /// What comes together is written together: devices wait for each time that the disk is written to.
  private func writeConfirmations() async {
    var backoff = Backoff(initial: .seconds(1), maximum: .seconds(600))
    for await _ in confirmations {
      do {
        try await Task.sleep(for: Self.writing, tolerance: .milliseconds(100))
        let unwritten = await book.flush()
        if unwritten.isEmpty {
          backoff.reset()
        } else {
          try await Task.sleep(for: backoff.next())
          note(unwritten)
        }
      } catch {
        return
      }
    }
  }

  /// - Throws: if the cloud doesn't confirm the message.
  private func confirm(_ message: Message) async throws {
    let answer = try await channel.request(message, to: .websocket, timeout: Self.patience)
    if answer.operation == .error { throw MetadataError(content: answer.content) }
  }

  /// - Returns: after which pause it is to be tried again; nil if that is seen to.
  @discardableResult
  private func done(_ id: DeviceID, _ result: Result<Void, any Error>, isOwed: Bool = false) -> Duration? {
    let (pause, isFirst) = state.withLock { state -> (Duration?, Bool) in
      state.onTheirWay.remove(id)
      let isChanged = state.again.remove(id) != nil
      switch result {
      case .success:
        state.failures[id] = nil
        if isOwed || isChanged { state.add(id) }
        return (nil, false)
      case .failure:
        // The next connection brings everything along.
        guard state.isConnected else { return (nil, false) }
        let count = (state.failures[id] ?? 0) + 1
        state.failures[id] = count
        return (min(Self.firstPause * (1 << min(count - 1, 6)), Self.longestPause), count == 1)
      }
    }
    changed.yield()
    if case .failure(let error) = result, isFirst {
      logger.warning(
        "the cloud doesn't confirm what it is told of a device; it is told again", metadata: ["device": "\(id)", "error": "\(error)"])
    }
    return pause
  }

  func finish() {
    changed.finish()
    confirmed.finish()
  }
}

extension CloudReporter.State {
  fileprivate mutating func add(_ id: DeviceID) {
    guard isConnected else { return }
    if onTheirWay.contains(id) {
      again.insert(id)
    } else if isWaiting.insert(id).inserted {
      waiting.append(id)
    }
  }

  fileprivate mutating func next(limit: Int) -> DeviceID? {
    guard isConnected, onTheirWay.count < limit, !waiting.isEmpty else { return nil }
    let id = waiting.removeFirst()
    isWaiting.remove(id)
    onTheirWay.insert(id)
    return id
  }
}
