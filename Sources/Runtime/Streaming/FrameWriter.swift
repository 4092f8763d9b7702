import Curl
import Synchronization

/// Writes frames one after another, whoever asks.
final class FrameWriter: Sendable {
  private struct State {
    var isBusy = false
    var isClosed = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let connection: RawConnection
  private let state = Mutex(State())

  init(_ connection: RawConnection) {
    self.connection = connection
  }

  /// Whether our own side ended the session.
  var isClosed: Bool { state.withLock { $0.isClosed } }

  func markClosed() { state.withLock { $0.isClosed = true } }

  /// Waits until the peer takes the bytes. A frame that was cut off leaves nothing to go on with, so a failure, a cancellation
  /// included, closes the connection.
  func write(_ frame: [UInt8]) async throws {
    await enter()
    defer { leave() }
    do {
      try await connection.write(frame)
    } catch {
      await connection.close()
      throw error
    }
  }

  private func enter() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.isBusy {
          state.waiters.append(continuation)
          return false
        }
        state.isBusy = true
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  private func leave() {
    let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
      if state.waiters.isEmpty {
        state.isBusy = false
        return nil
      }
      return state.waiters.removeFirst()
    }
    next?.resume()
  }
}
