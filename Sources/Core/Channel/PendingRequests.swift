import Synchronization

/// Requests that wait for their answers, by message id.
///
/// One timer serves all deadlines; it sleeps until the earliest one and ends when nothing is pending, so that an idle process never wakes.
final class PendingRequests: Sendable {
  typealias Answer = Result<Message, any Error>

  private struct Request {
    var module: ModuleName
    var deadline: ContinuousClock.Instant
    var limit: Duration
    /// Set once the requester is suspended.
    var continuation: CheckedContinuation<Message, any Error>?
    /// Came before the requester was suspended.
    var answer: Answer?
    /// Where the request waits for room.
    var parked: (mailbox: Mailbox, ticket: UInt64)?
  }

  private struct State {
    var requests: [String: Request] = [:]
    var timer: Task<Void, Never>?
    var timerDeadline: ContinuousClock.Instant?
    var count: UInt64 = 0
    var answers: UInt64 = 0
    var late: UInt64 = 0
    var timeouts: UInt64 = 0
  }

  private let state = Mutex(State())

  deinit { state.withLock { $0.timer?.cancel() } }

  func add(_ id: String, module: ModuleName, timeout: Duration) {
    let deadline = ContinuousClock.now + timeout
    state.withLock { state in
      state.count += 1
      state.requests[id] = Request(module: module, deadline: deadline, limit: timeout)
      if state.timerDeadline.map({ deadline < $0 }) ?? true { schedule(deadline, &state) }
    }
  }

  func park(_ id: String, mailbox: Mailbox, ticket: UInt64) {
    let waits = state.withLock { state in
      guard let request = state.requests[id], request.answer == nil else { return false }
      state.requests[id]?.parked = (mailbox, ticket)
      return true
    }
    // The request ended meanwhile: its message must not be delivered any more.
    if !waits { _ = mailbox.unpark(ticket) }
  }

  /// Waits for the answer of a request that was added.
  nonisolated(nonsending) func answer(to id: String) async throws -> Message {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Message, any Error>) in
        // The handler may have run before the request was there to be ended.
        if Task.isCancelled { finish(id, .failure(CancellationError())) }
        let answer: Answer? = state.withLock { state in
          guard let request = state.requests[id] else { return .failure(CancellationError()) }
          if let answer = request.answer {
            state.requests[id] = nil
            return answer
          }
          state.requests[id]?.continuation = continuation
          return nil
        }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      finish(id, .failure(CancellationError()))
    }
  }

  /// Hands over an answer; false if nobody waits for it.
  func deliver(_ answer: Message, to id: String) -> Bool {
    let delivered = finish(id, .success(answer))
    state.withLock { if delivered { $0.answers += 1 } else { $0.late += 1 } }
    return delivered
  }

  /// Ends all requests to a module.
  func fail(module: ModuleName, _ error: any Error) {
    let ids = state.withLock { state in state.requests.filter { $0.value.module == module }.map(\.key) }
    for id in ids { finish(id, .failure(error)) }
  }

  func remove(_ id: String) { state.withLock { $0.requests[id] = nil } }

  @discardableResult
  private func finish(_ id: String, _ answer: Answer) -> Bool {
    let request: Request? = state.withLock { state in
      guard var request = state.requests[id], request.answer == nil else { return nil }
      if request.continuation != nil {
        state.requests[id] = nil
      } else {
        request.answer = answer
        state.requests[id] = request
      }
      return request
    }
    guard let request else { return false }
    if case .failure = answer, let parked = request.parked { _ = parked.mailbox.unpark(parked.ticket) }
    request.continuation?.resume(with: answer)
    return true
  }

  private func schedule(_ deadline: ContinuousClock.Instant, _ state: inout State) {
    state.timer?.cancel()
    state.timerDeadline = deadline
    state.timer = Task { [weak self] in
      var next: ContinuousClock.Instant? = deadline
      while let wake = next {
        do { try await Task.sleep(until: wake, tolerance: .milliseconds(20), clock: .continuous) } catch { return }
        guard let self else { return }
        next = self.expire()
      }
    }
  }

  /// Ends what is overdue; the next deadline, nil if nothing is pending.
  private func expire() -> ContinuousClock.Instant? {
    let now = ContinuousClock.now
    let (overdue, next): ([(String, Request)], ContinuousClock.Instant?) = state.withLock { state in
      let overdue = state.requests.filter { $0.value.answer == nil && $0.value.deadline <= now }.map { ($0.key, $0.value) }
      let next = state.requests.values.filter { $0.answer == nil && $0.deadline > now }.map(\.deadline).min()
      // A timer that was replaced meanwhile was cancelled; it must not take the state of its successor.
      if !Task.isCancelled {
        state.timerDeadline = next
        if next == nil { state.timer = nil }
      }
      return (overdue, next)
    }
    for (id, request) in overdue {
      let delivered = request.parked.map { !$0.mailbox.unpark($0.ticket) } ?? true
      let error = ChannelError.timeout(module: request.module, messageID: id, limit: request.limit, delivered: delivered)
      if finish(id, .failure(error)) { state.withLock { $0.timeouts += 1 } }
    }
    return Task.isCancelled ? nil : next
  }

  var statistics: (pending: Int, requests: UInt64, answers: UInt64, late: UInt64, timeouts: UInt64) {
    state.withLock { ($0.requests.count, $0.count, $0.answers, $0.late, $0.timeouts) }
  }
}
