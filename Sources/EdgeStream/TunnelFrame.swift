import NIOCore

/// One message in the tunnel: the number of a session, what kind of message it is, and its bytes.
struct TunnelFrame: Sendable, Hashable {
  enum Kind: UInt64, Sendable {
    case logs, exec, metrics, data, remove, close, attach

    /// Whether it begins a session whose bytes are carried as they are, in both directions.
    var isCommand: Bool { self == .exec || self == .attach }
  }

  /// Two numbers of at most 10 bytes each.
  static let longestHeader = 20

  var session: UInt64
  var kind: Kind
  var payload: ArraySlice<UInt8>

  init(session: UInt64, kind: Kind, payload: ArraySlice<UInt8> = []) {
    self.session = session
    self.kind = kind
    self.payload = payload
  }

  /// Nil if the header is incomplete, a number needs more than 64 bits, or the kind is unknown.
  init?(_ bytes: [UInt8]) {
    var rest = bytes[...]
    guard let session = Self.number(&rest), let kind = Self.number(&rest).flatMap(Kind.init) else { return nil }
    self.init(session: session, kind: kind, payload: rest)
  }

  /// Takes a number from the front: seven bits a byte, the least significant first.
  private static func number(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: 0 as UInt64, to: 70, by: 7) {
      guard let byte = bytes.popFirst() else { return nil }
      if shift == 63, byte > 1 { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  /// A message as it goes over the wire.
  static func bytes(session: UInt64, kind: Kind, payload: ByteBuffer = ByteBuffer()) -> ByteBuffer {
    var buffer = ByteBufferAllocator().buffer(capacity: longestHeader + payload.readableBytes)
    for number in [session, kind.rawValue] {
      var rest = number
      while rest >= 0x80 {
        buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      buffer.writeInteger(UInt8(rest))
    }
    buffer.writeImmutableBuffer(payload)
    return buffer
  }
}
