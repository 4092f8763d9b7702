/// Waiting that ends.
enum Deadline {
  /// What `work` yields; nil if it takes too long.
  static func first<T: Sendable>(within limit: Duration, _ work: @escaping @Sendable () async -> T?) async -> T? {
    await withTaskGroup(of: T?.self) { tasks in
      tasks.addTask { await work() }
      tasks.addTask {
        try? await Task.sleep(for: limit)
        return nil
      }
      defer { tasks.cancelAll() }
      return await tasks.next() ?? nil
    }
  }
}
