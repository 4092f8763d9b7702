import KubernetesAPI
import Synchronization

@testable import Edged

/// Time that passes only when a test says so.
final class ProbeTestClock: Sendable {
  private struct Sleeper {
    var deadline: Duration
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now: Duration = .zero
    var nextID = 0
    var sleepers: [Int: Sleeper] = [:]
    var cancelled: Set<Int> = []
    var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []

    mutating func takeWatchers() -> [CheckedContinuation<Void, Never>] {
      let ready = watchers.filter { $0.count == sleepers.count }
      watchers.removeAll { $0.count == sleepers.count }
      return ready.map(\.continuation)
    }
  }

  static let wallStart = Timestamp(seconds: 1_700_000_000)
  private let state = Mutex(State())

  var now: Duration { state.withLock { $0.now } }
  var wall: Timestamp { Self.wallStart + now }
  var probeClock: ProbeClock {
    ProbeClock(now: { self.now }, wall: { self.wall }, sleep: { deadline, _ in try await self.sleep(until: deadline) })
  }

  func advance(by duration: Duration) {
    let due = state.withLock { state in
      state.now += duration
      let due = state.sleepers.filter { $0.value.deadline <= state.now }
      for id in due.keys { state.sleepers[id] = nil }
      return due.values.sorted { $0.deadline < $1.deadline }
    }
    for sleeper in due { sleeper.continuation.resume() }
  }

  /// Waits until exactly so many tasks sleep.
  func sleepers(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isReady = state.withLock { state in
        if state.sleepers.count == count { return true }
        state.watchers.append((count, continuation))
        return false
      }
      if isReady { continuation.resume() }
    }
  }

  private func sleep(until deadline: Duration) async throws {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let (watchers, isOver, isCancelled) = state.withLock { state in
          if state.cancelled.remove(id) != nil { return ([CheckedContinuation<Void, Never>](), true, true) }
          if deadline <= state.now { return ([], true, false) }
          state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
          return (state.takeWatchers(), false, false)
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) } else if isOver { continuation.resume() }
        for watcher in watchers { watcher.resume() }
      }
    } onCancel: {
      let (sleeper, watchers) = state.withLock { state in
        guard let sleeper = state.sleepers.removeValue(forKey: id) else {
          state.cancelled.insert(id)
          return (nil as Sleeper?, [CheckedContinuation<Void, Never>]())
        }
        return (sleeper, state.takeWatchers())
      }
      sleeper?.continuation.resume(throwing: CancellationError())
      for watcher in watchers { watcher.resume() }
    }
  }
}

/// Remembers events.
final class RecordedEvents: EventRecording {
  private let texts = Mutex<[String]>([])

  /// `Warning Unhealthy spec.containers{app}: message`
  var all: [String] { texts.withLock { $0 } }

  func record(_ pod: Pod, fieldPath: String?, _ type: EventType, reason: String, message: String) {
    texts.withLock { $0.append("\(type.rawValue) \(reason) \(fieldPath ?? "-"): \(message)") }
  }
}
