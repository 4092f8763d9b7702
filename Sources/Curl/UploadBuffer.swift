/// The part of a streamed request body that the caller has given and libcurl has not taken.
struct UploadBuffer {
  enum Portion {
    case bytes(Int)
    /// Nothing there yet.
    case pause
    case end
  }

  private static let limit = 256 << 10

  private var bytes: [UInt8] = []
  private var offset = 0
  private(set) var isPaused = false
  /// libcurl has had bytes, or the body's end, and could not get them again.
  private(set) var isStarted = false
  /// The caller's stream has ended.
  var isComplete = false
  var waiter: CheckedContinuation<Bool, Never>?

  var hasRoom: Bool { bytes.count - offset < Self.limit }

  mutating func append(_ chunk: [UInt8]) {
    if offset == bytes.count {
      bytes = chunk
      offset = 0
    } else {
      bytes.append(contentsOf: chunk)
    }
  }

  mutating func drain(into buffer: UnsafeMutableRawBufferPointer) -> Portion {
    let count = min(buffer.count, bytes.count - offset)
    guard count > 0 else {
      if isComplete {
        isStarted = true
        return .end
      }
      isPaused = true
      return .pause
    }
    isStarted = true
    bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
    offset += count
    if offset == bytes.count {
      bytes = []
      offset = 0
    }
    return .bytes(count)
  }

  /// Whether libcurl waits for bytes; it is told once.
  mutating func takePause() -> Bool {
    defer { isPaused = false }
    return isPaused
  }
}
