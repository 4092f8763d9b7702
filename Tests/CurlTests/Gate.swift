import Dispatch
import Synchronization

/// Lets threads and tasks wait for a moment of the test.
final class Gate: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)

  /// For threads only. Opens for all who wait, now and later.
  func waitBlocking() {
    semaphore.wait()
    semaphore.signal()
  }

  func open() { semaphore.signal() }
}

/// Fails a test that hangs, without saying anything about speed.
func withDeadline<Value: Sendable>(
  _ limit: Duration = .seconds(60), _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    group.addTask { try await body() }
    group.addTask {
      try await Task.sleep(for: limit)
      throw DeadlinePassed()
    }
    defer { group.cancelAll() }
    guard let value = try await group.next() else { throw DeadlinePassed() }
    return value
  }
}

struct DeadlinePassed: Error {}
