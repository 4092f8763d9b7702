import CLinux
import Glibc

/// Why a thread could not be started.
public struct ThreadError: Error, Sendable, CustomStringConvertible {
  public var name: String
  public var code: Int32
  public var description: String { "can't start the thread \"\(name)\": \(String(cString: strerror(code)))" }
}

/// A thread of the operating system, for calls that block.
public enum OperatingSystemThread {
  private final class Body {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// Runs what blocks on a thread that ends with it, and waits for that.
  ///
  /// - Throws: `ThreadError`, or what `body` throws.
  public static func run<Success: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Success) async throws -> Success {
    try await withCheckedThrowingContinuation { continuation in
      do {
        try start(name) { continuation.resume(with: Result { try body() }) }
      } catch {
        continuation.resume(throwing: error)
      }
    }
  }

  /// Starts a thread that nobody joins; it ends when `run` returns.
  ///
  /// - Parameters:
  ///   - name: at most 15 bytes of it are visible in the system's tools.
  ///   - stackSize: bytes.
  /// - Throws: `ThreadError`.
  public static func start(_ name: String, stackSize: Int = 256 << 10, run: @escaping @Sendable () -> Void) throws(ThreadError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, max(stackSize, 64 << 10))
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let body = Unmanaged.passRetained(Body(name: name, run: run))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        _ = String(body.name.prefix(15)).withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0)) }
        body.run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      throw ThreadError(name: name, code: code)
    }
  }
}
