import HTTPServer
import SPDY
import Synchronization

/// The server's side of SPDY/3.1: streams that the client opens.
final class SPDYConnection: Sendable {
  /// Streams at a time. A forwarded port takes two for each connection.
  private static let streamLimit = 1024

  private let connection: StreamConnection
  private let idle: IdleClock
  private let streams = Mutex<[UInt32: SPDYStream]>([:])

  init(_ connection: StreamConnection, idle: IdleClock) {
    self.connection = connection
    self.idle = idle
  }

  /// Takes a new stream: returns what to do once the client knows that it was accepted, before which clients drop what comes on it;
  /// nil refuses the stream.
  typealias Reception = @Sendable (SPDYStream) -> (@Sendable () -> Void)?

  /// Reads until the client has ended its side.
  func run(opened: Reception) async throws {
    defer { for stream in streams.withLock({ $0.values }) { stream.input.finish() } }
    var decoder = SPDYDecoder()
    var headers = SPDYHeaderReader()
    var replies = SPDYHeaderBlock()
    var last: UInt32 = 0
    while let bytes = try await connection.next() {
      idle.touch()
      decoder.append(bytes)
      while let event = try decoder.next() {
        switch event {
        case .opened(let id, let block):
          let stream = SPDYStream(id: id, headers: try headers.read(block), connection: connection, idle: idle)
          let isOrderly = id % 2 == 1 && id > last && streams.withLock { $0.count < Self.streamLimit }
          last = max(last, id)
          if isOrderly {
            // What comes for it may follow at once.
            streams.withLock { $0[id] = stream }
            if let accepted = opened(stream) {
              try await connection.write(SPDYFrame.reply(stream: id, headerBlock: replies.encode([])))
              accepted()
              continue
            }
            forget(stream)
          }
          try await connection.write(SPDYFrame.reset(stream: id, .refused))
        case .data(let id, let bytes): await streams.withLock { $0[id] }?.input.push(bytes)
        case .ended(let id): streams.withLock { $0[id] }?.input.finish()
        case .ping(let id): try await connection.write(SPDYFrame.ping(id: id))
        case .goAway: break
        }
      }
    }
  }

  /// What still comes for the stream is dropped.
  func forget(_ stream: SPDYStream) {
    stream.input.close()
    _ = streams.withLock { $0.removeValue(forKey: stream.id) }
  }

  /// Says that all is said.
  func end() async throws {
    try await connection.write(SPDYFrame.goAway(lastStream: 0))
    try await connection.closeWrite()
  }
}

/// One stream of a SPDY connection.
final class SPDYStream: ClientStream {
  let id: UInt32
  let headers: [String: String]
  /// What the client sends on it.
  let input = ByteQueue()
  private let connection: StreamConnection
  private let idle: IdleClock
  private let isEnded = Atomic(false)

  init(id: UInt32, headers: [String: String], connection: StreamConnection, idle: IdleClock) {
    self.id = id
    self.headers = headers
    self.connection = connection
    self.idle = idle
  }

  /// `error`, `stdin`, `stdout`, `stderr`, `resize` or `data`.
  var type: String { headers["streamtype"] ?? "" }

  /// Waits while the client doesn't read.
  func write(_ bytes: [UInt8]) async throws {
    idle.touch()
    var rest = bytes[...]
    while !rest.isEmpty {
      try await connection.write(SPDYFrame.data(stream: id, rest.prefix(SPDYFrame.dataLimit)))
      rest = rest.dropFirst(SPDYFrame.dataLimit)
    }
  }

  /// Ends our side. Safe to call twice.
  func end() async throws {
    guard !isEnded.exchange(true, ordering: .relaxed) else { return }
    try await connection.write(SPDYFrame.data(stream: id, [], isLast: true))
  }

  /// Ends both sides early.
  func reset() async throws {
    guard !isEnded.exchange(true, ordering: .relaxed) else { return }
    try await connection.write(SPDYFrame.reset(stream: id, .cancelled))
  }
}

/// Serves a SPDY connection: reads it while `work` runs, and says goodbye when that has ended.
func serveSPDY(
  _ connection: StreamConnection, idle: IdleClock, opened: @escaping SPDYConnection.Reception,
  work: @escaping @Sendable (SPDYConnection) async -> Void
) async {
  let spdy = SPDYConnection(connection, idle: idle)
  await serve(connection, idle: idle) {
    try? await spdy.run(opened: opened)
  } work: {
    await work(spdy)
    try? await spdy.end()
  }
}
