import Glibc

/// Runs what blocks on a thread that ends with it, so that no thread of Swift's pool waits for the kernel.
enum CgroupThread {
  private final class Work {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }

  static func run<Success: Sendable>(_ body: @escaping @Sendable () throws -> Success) async throws -> Success {
    try await withCheckedThrowingContinuation { continuation in
      let work = Unmanaged.passRetained(Work { continuation.resume(with: Result { try body() }) })
      var attributes = pthread_attr_t()
      pthread_attr_init(&attributes)
      defer { pthread_attr_destroy(&attributes) }
      pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
      pthread_attr_setstacksize(&attributes, 256 * 1024)
      var thread = pthread_t()
      let code = pthread_create(
        &thread, &attributes,
        { argument in
          if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run() }
          return nil
        }, work.toOpaque())
      if code != 0 {
        work.release()
        continuation.resume(throwing: CgroupError.system(operation: "start", path: "a thread", code: code))
      }
    }
  }
}
