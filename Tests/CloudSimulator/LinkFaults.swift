import Synchronization

/// What goes wrong on the way from the cloud to the nodes.
final class LinkFaults: Sendable {
  private struct State {
    var delay: Duration = .zero
    var duplicates = 0
    var isMute = false
  }

  private let state = Mutex(State())

  func delay(_ duration: Duration) { state.withLock { $0.delay = duration } }
  func duplicate(_ count: Int) { state.withLock { $0.duplicates = count } }
  func mute(_ isMute: Bool) { state.withLock { $0.isMute = isMute } }

  var isMute: Bool { state.withLock { $0.isMute } }

  /// How the next message goes: after how long and how often; nil if not at all.
  func next() -> (delay: Duration, copies: Int)? {
    state.withLock { state in
      if state.isMute { return nil }
      if state.duplicates > 0 {
        state.duplicates -= 1
        return (state.delay, 2)
      }
      return (state.delay, 1)
    }
  }
}
