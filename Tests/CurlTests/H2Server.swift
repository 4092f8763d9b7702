import Synchronization

/// Just enough HTTP/2 on the server's side to see what a client does with its streams. It never decodes headers: replies depend on
/// the order of the streams only.
final class H2Server: Sendable {
  struct Frame: Sendable, Hashable {
    enum Kind: UInt8 {
      case data = 0
      case headers = 1
      case reset = 3
      case settings = 4
      case ping = 6
      case goAway = 7
      case windowUpdate = 8
    }

    var kind: UInt8
    var flags: UInt8
    var stream: Int
    var payload: [UInt8]

    init(_ kind: Kind, flags: UInt8 = 0, stream: Int, _ payload: [UInt8] = []) {
      self.init(kind: kind.rawValue, flags: flags, stream: stream, payload: payload)
    }

    init(kind: UInt8, flags: UInt8, stream: Int, payload: [UInt8]) {
      self.kind = kind
      self.flags = flags
      self.stream = stream
      self.payload = payload
    }

    func isA(_ kind: Kind) -> Bool { self.kind == kind.rawValue }
    var endsStream: Bool { flags & 1 != 0 && (isA(.data) || isA(.headers)) }

    var bytes: [UInt8] {
      let length = payload.count
      return [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), kind, flags]
        + [UInt8(stream >> 24 & 0x7F), UInt8(stream >> 16 & 0xFF), UInt8(stream >> 8 & 0xFF), UInt8(stream & 0xFF)] + payload
    }
  }

  /// The server's side of one connection.
  final class Session: Sendable {
    let connection: TestServer.Connection

    init(_ connection: TestServer.Connection) { self.connection = connection }

    @discardableResult
    func send(_ frames: Frame...) -> Bool { connection.write(Array(frames.map(\.bytes).joined())) }

    /// The next frame that isn't about the connection itself; nil: the client has gone.
    func next() -> Frame? {
      while let head = connection.read(exactly: 9) {
        let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
        guard let payload = connection.read(exactly: length) else { return nil }
        let stream = Int(head[5] & 0x7F) << 24 | Int(head[6]) << 16 | Int(head[7]) << 8 | Int(head[8])
        let frame = Frame(kind: head[3], flags: head[4], stream: stream, payload: payload)
        if frame.isA(.settings) {
          if frame.flags & 1 == 0 { send(Frame(.settings, flags: 1, stream: 0)) }
        } else if frame.isA(.ping) {
          send(Frame(.ping, flags: 1, stream: 0, payload))
        } else if !frame.isA(.windowUpdate) {
          return frame
        }
      }
      return nil
    }

    /// `:status: 200` and, without an index, more fields.
    static func fields(status: Bool = true, _ fields: [(String, String)] = []) -> [UInt8] {
      var block: [UInt8] = status ? [0x88] : []
      for (name, value) in fields {
        block += [0x00, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
      }
      return block
    }

    func head(_ stream: Int, _ more: [(String, String)] = []) { send(Frame(.headers, flags: 4, stream: stream, Self.fields(more))) }
    @discardableResult
    func data(_ stream: Int, _ bytes: [UInt8], ends: Bool = false) -> Bool {
      send(Frame(.data, flags: ends ? 1 : 0, stream: stream, bytes))
    }
    func trailers(_ stream: Int, _ fields: [(String, String)]) {
      send(Frame(.headers, flags: 5, stream: stream, Self.fields(status: false, fields)))
    }
  }

  let server: TestServer
  private let started = Counter()

  /// Connections on which HTTP/2 has begun.
  var sessions: Int { started.value }

  /// The handler gets every connection once both sides' prefaces are out.
  init(_ handler: @escaping @Sendable (Session) -> Void) throws {
    server = try TestServer(.unix) { [started] connection in
      guard connection.read(exactly: 24) == Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) else { return }
      started.add(1)
      let session = Session(connection)
      session.send(Frame(.settings, stream: 0))
      handler(session)
    }
  }
}
