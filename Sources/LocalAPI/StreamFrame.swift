/// One piece of an exec session between edgectl and the agent: a kind, a length of four bytes (big endian), and the payload.
public struct StreamFrame: Sendable, Hashable {
  public enum Kind: UInt8, Sendable {
    /// To the process; an empty payload ends its input.
    case stdin = 0
    case stdout = 1
    case stderr = 2
    /// The process's exit code, decimal. The last frame.
    case exited = 3
    /// Columns and rows, two bytes each.
    case resize = 4
    /// Why there is no session, as text. The last frame.
    case failed = 5
  }

  public static let payloadLimit = 1 << 20

  public var kind: Kind
  public var payload: [UInt8]

  public init(_ kind: Kind, _ payload: [UInt8]) {
    self.kind = kind
    self.payload = payload
  }

  /// The size of a terminal.
  public static func resize(columns: UInt16, rows: UInt16) -> StreamFrame {
    StreamFrame(.resize, [UInt8(columns >> 8), UInt8(columns & 0xFF), UInt8(rows >> 8), UInt8(rows & 0xFF)])
  }

  /// Columns and rows of a resize frame; nil if it is none.
  public var size: (columns: UInt16, rows: UInt16)? {
    guard kind == .resize, payload.count == 4 else { return nil }
    return (UInt16(payload[0]) << 8 | UInt16(payload[1]), UInt16(payload[2]) << 8 | UInt16(payload[3]))
  }

  public var bytes: [UInt8] {
    let count = UInt32(payload.count)
    return [kind.rawValue, UInt8(count >> 24), UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)] + payload
  }
}

/// Puts frames together from pieces of any size.
public struct StreamFrameDecoder: Sendable {
  private var buffer: [UInt8] = []

  public init() {}

  /// The frames that are complete now.
  /// - Throws: `StreamFrameError` for an unknown kind or a payload over the limit.
  public mutating func add(_ bytes: [UInt8]) throws(StreamFrameError) -> [StreamFrame] {
    buffer += bytes
    var frames: [StreamFrame] = []
    var start = 0
    while buffer.count - start >= 5 {
      let count = buffer[start + 1..<start + 5].reduce(0) { $0 << 8 | Int($1) }
      guard let kind = StreamFrame.Kind(rawValue: buffer[start]) else { throw StreamFrameError(problem: "unknown kind \(buffer[start])") }
      guard count <= StreamFrame.payloadLimit else { throw StreamFrameError(problem: "\(count) bytes in one frame") }
      guard buffer.count - start - 5 >= count else { break }
      frames.append(StreamFrame(kind, Array(buffer[start + 5..<start + 5 + count])))
      start += 5 + count
    }
    buffer.removeFirst(start)
    return frames
  }
}

public struct StreamFrameError: Error, Sendable, CustomStringConvertible {
  public var problem: String
  public var description: String { "broken exec stream: \(problem)" }
}
