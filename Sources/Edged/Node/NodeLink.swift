import Core
import Synchronization

/// What the node's status and its lease go by: whether the cloud can be reached, and which Node it has for us.
final class NodeLink: Sendable {
  struct State: Sendable, Hashable {
    /// Taken for granted until an answer or an event says otherwise.
    var isConnected = true
    /// Counts the connections that were told.
    var connection = 0
    /// The last event said that the connection is gone; the next one will say that it's back.
    var isToldGone = false
    /// The UID of the Node; nil until it is registered.
    var uid: String?
  }

  /// Signalled when anything changes, for whoever keeps the status and the lease.
  let statusWakeup = Wakeup()
  let leaseWakeup = Wakeup()
  private let current = Mutex(State())

  var state: State { current.withLock { $0 } }

  private func change(_ body: (inout State) -> Void) {
    let isChanged = current.withLock { state in
      let before = state
      body(&state)
      return state != before
    }
    guard isChanged else { return }
    statusWakeup.signal()
    leaseWakeup.signal()
  }

  /// The connection came or went.
  func note(_ connection: CloudConnection) {
    change { state in
      state.isConnected = connection == .connected
      state.isToldGone = connection == .disconnected
      if connection == .connected { state.connection += 1 }
    }
  }

  /// A request that was made over that connection was answered with: offline. A newer connection isn't touched.
  func lost(connection: Int) {
    change { if $0.connection == connection { $0.isConnected = false } }
  }

  /// Lets the next request find out: an event may have come before we listened, or before the store had heard of it.
  func assumeConnected() {
    change { if !$0.isToldGone { $0.isConnected = true } }
  }

  func registered(uid: String) { change { $0.uid = uid } }

  /// The cloud has no such Node any more.
  /// - Parameter uid: nil stands for whichever it is.
  /// - Returns: false if the Node we have is another one.
  @discardableResult
  func unregistered(uid: String?) -> Bool {
    var isOurs = false
    change { state in
      isOurs = state.uid != nil && (uid == nil || uid == state.uid)
      if isOurs { state.uid = nil }
    }
    return isOurs
  }
}

extension NodeLink {
  /// Returns when the state is another one than `state`, when `deadline` is reached, or when the task is cancelled.
  /// - Parameter wakeup: the caller's own.
  func pause(
    _ wakeup: Wakeup, until deadline: Duration, asLongAs state: State, _ clock: ProbeClock, tolerance: Duration
  ) async {
    while self.state == state, clock.now() < deadline, !Task.isCancelled {
      await withTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try? await clock.sleep(deadline, tolerance) }
        tasks.addTask { await wakeup.wait(until: nil) }
        await tasks.next()
        tasks.cancelAll()
      }
    }
  }
}
