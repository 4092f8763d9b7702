import FoundationEssentials
import Glibc

/// A wall clock of the agent's own that tests can step; durations are measured as ever.
struct SteppedClock: Sendable {
  private let file: String

  /// - Parameter directory: where the file with the step is kept.
  init(below directory: String) throws {
    file = directory + "/clock"
    try Data(count: MemoryLayout<Int64>.size).write(to: URL(filePath: file))
  }

  /// What the agent's environment needs.
  var environment: [String] { ["LD_PRELOAD=\(Checkout.programs)/libSteppedClock.so", "STEPPED_CLOCK=\(file)"] }

  /// - Parameter seconds: what the agent's clock is ahead of the true one; below zero: behind it.
  func step(to seconds: Int64) throws {
    // In place: the agent has the file mapped.
    let descriptor = open(file, O_WRONLY | O_CLOEXEC)
    defer { close(descriptor) }
    let written = withUnsafeBytes(of: seconds) { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    guard written == MemoryLayout<Int64>.size else { throw Shell.Failure(description: "\(file): \(String(cString: strerror(errno)))") }
  }
}
