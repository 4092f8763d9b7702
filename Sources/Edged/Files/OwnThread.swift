import Core
import Synchronization

/// Runs blocking work on a thread of its own, so that a slow disk or a dead network file system holds up nobody else.
///
/// When the calling task is cancelled this ends at once with `CancellationError`; the work itself can't be interrupted and
/// ends on its own.
func onOwnThread<Value: Sendable>(_ name: String, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
  let handover = Handover<Value>()
  return try await withTaskCancellationHandler {
    try await withCheckedThrowingContinuation { continuation in
      guard handover.begin(continuation) else { return }
      if let error = OwnThread.start(name, { handover.end(Result { try work() }) }) { handover.end(.failure(error)) }
    }
  } onCancel: {
    handover.end(.failure(CancellationError()))
  }
}

/// The one continuation that either the work or a cancellation resumes.
private final class Handover<Value: Sendable>: Sendable {
  private enum State {
    case idle
    case waiting(CheckedContinuation<Value, any Error>)
    case ended
  }

  private let state = Mutex<State>(.idle)

  /// - Returns: false if it was cancelled before.
  func begin(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
    let isCancelled = state.withLock { state in
      if case .ended = state { return true }
      state = .waiting(continuation)
      return false
    }
    if isCancelled { continuation.resume(throwing: CancellationError()) }
    return !isCancelled
  }

  func end(_ result: Result<Value, any Error>) {
    let continuation = state.withLock { state -> CheckedContinuation<Value, any Error>? in
      defer { state = .ended }
      if case .waiting(let continuation) = state { return continuation }
      return nil
    }
    continuation?.resume(with: result)
  }
}

enum OwnThread {
  /// Starts a detached thread.
  /// - Parameter name: shown by tools, at most 15 bytes.
  /// - Returns: the error if no thread could be made.
  static func start(_ name: String, _ run: @escaping @Sendable () -> Void) -> FileError? {
    do throws(ThreadError) {
      try OperatingSystemThread.start(name, stackSize: 512 << 10, run: run)
      return nil
    } catch {
      return FileError("start thread", name, code: error.code)
    }
  }
}
