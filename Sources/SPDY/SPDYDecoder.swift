/// Takes SPDY/3.1 frames apart as their bytes arrive. Data is handed out at once, so that only the heads of streams that the peer
/// opens are kept whole; the headers of replies, which mean nothing here, are skipped.
public struct SPDYDecoder: Sendable {
  public enum Event: Sendable, Equatable {
    /// The peer opens a stream. All header blocks of a connection form one compressed text: `SPDYHeaderReader` has to see each.
    case opened(stream: UInt32, headerBlock: [UInt8])
    case data(stream: UInt32, bytes: [UInt8])
    /// The peer ended its side of the stream, or all of it.
    case ended(stream: UInt32)
    case ping(id: UInt32)
    case goAway
  }

  /// The peer doesn't keep to SPDY/3.1.
  public struct ProtocolError: Error, Sendable, CustomStringConvertible {
    public var description: String
  }

  /// Bytes of a frame that opens a stream.
  public static let headLimit = 64 << 10

  private enum State {
    case head
    case data(stream: UInt32, remaining: Int, isLast: Bool)
    case control(type: UInt16, flags: UInt8, length: Int)
    case opening(flags: UInt8, length: Int)
    case opened(stream: UInt32)
    case skip(remaining: Int)
  }

  private var state = State.head
  private var buffer: [UInt8] = []
  private var start = 0

  public init() {}

  public mutating func append(_ chunk: [UInt8]) {
    if start == buffer.count {
      buffer = chunk
    } else {
      buffer.removeFirst(start)
      buffer.append(contentsOf: chunk)
    }
    start = 0
  }

  /// nil until more bytes have come.
  public mutating func next() throws(ProtocolError) -> Event? {
    while true {
      let available = buffer.count - start
      switch state {
      case .head:
        guard available >= 8 else { return nil }
        try readHead()
      case .data(let stream, let remaining, let isLast):
        if remaining == 0 {
          state = .head
          if isLast { return .ended(stream: stream) }
          continue
        }
        guard available > 0 else { return nil }
        let count = min(available, remaining)
        let bytes = count == buffer.count ? buffer : Array(buffer[start..<(start + count)])
        start += count
        state = .data(stream: stream, remaining: remaining - count, isLast: isLast)
        return .data(stream: stream, bytes: bytes)
      case .opening(let flags, let length):
        guard available >= length else { return nil }
        let stream = number(at: start) & 0x7fff_ffff
        let block = Array(buffer[(start + 10)..<(start + length)])
        start += length
        state = flags & 1 != 0 ? .opened(stream: stream) : .head
        return .opened(stream: stream, headerBlock: block)
      case .opened(let stream):
        state = .head
        return .ended(stream: stream)
      case .control(let type, let flags, let length):
        guard available >= min(length, 4) else { return nil }
        let first = length >= 4 ? number(at: start) & 0x7fff_ffff : 0
        state = .skip(remaining: length)
        // Types that answer a stream or add headers to it may end it with flag 1; type 3 ends it in any case.
        switch type {
        case 2, 8: if flags & 1 != 0 { return .ended(stream: first) }
        case 3: return .ended(stream: first)
        case 6: return .ping(id: first)
        case 7: return .goAway
        default: break
        }
      case .skip(let remaining):
        let count = min(available, remaining)
        start += count
        if count < remaining {
          state = .skip(remaining: remaining - count)
          return nil
        }
        state = .head
      }
    }
  }

  private mutating func readHead() throws(ProtocolError) {
    let first = number(at: start)
    let second = number(at: start + 4)
    start += 8
    let flags = UInt8(truncatingIfNeeded: second >> 24)
    let length = Int(second & 0x00ff_ffff)
    if first & 0x8000_0000 == 0 {
      state = .data(stream: first, remaining: length, isLast: flags & 1 != 0)
      return
    }
    let version = first >> 16 & 0x7fff
    guard version == 3 else { throw ProtocolError(description: "a SPDY frame of version \(version) where 3 was agreed") }
    let type = UInt16(truncatingIfNeeded: first)
    if type == 1 {
      guard (10...Self.headLimit).contains(length) else {
        throw ProtocolError(description: "a stream is opened by \(length) bytes; allowed: 10 to \(Self.headLimit)")
      }
      state = .opening(flags: flags, length: length)
    } else {
      state = .control(type: type, flags: flags, length: length)
    }
  }

  private func number(at index: Int) -> UInt32 {
    buffer[index..<(index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
  }
}
