import Synchronization

/// Notices a cloud that takes requests and says nothing at all: its session is dead though the connection is open.
final class MuteWatch: Sendable {
  private struct State {
    /// Since when something was asked and nothing was heard.
    var askedAt: ContinuousClock.Instant?
    /// What was heard is still being handed over: nothing more is read meanwhile.
    var isDelivering = false
  }

  private let limit: Duration
  private let state = Mutex(State())
  private let asked: AsyncStream<Void>
  private let signal: AsyncStream<Void>.Continuation

  init(limit: Duration) {
    self.limit = limit
    (asked, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  func noteRequest() {
    let isFirst = state.withLock { state in
      guard state.askedAt == nil else { return false }
      state.askedAt = .now
      return true
    }
    if isFirst { signal.yield() }
  }

  /// Something was heard.
  func noteActivity() { state.withLock { $0.askedAt = nil } }

  func note(delivering isDelivering: Bool) { state.withLock { $0.isDelivering = isDelivering } }

  /// Returns when the cloud is mute, or the task was cancelled.
  func run() async {
    for await _ in asked {
      while let askedAt = state.withLock({ $0.askedAt }) {
        do { try await Task.sleep(until: askedAt + limit, clock: .continuous) } catch { return }
        let isMute = state.withLock { state in
          guard state.askedAt == askedAt else { return false }
          guard state.isDelivering else { return true }
          state.askedAt = .now
          return false
        }
        if isMute { return }
      }
    }
  }
}
