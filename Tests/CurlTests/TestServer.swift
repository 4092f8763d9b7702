import Foundation
import Glibc
import Synchronization

/// A blocking HTTP/1.1 server: one thread for each connection, the handler speaks for itself.
final class TestServer: Sendable {
  enum Place: Sendable {
    case unix
    case tcp
  }

  struct Request: Sendable {
    var method: String
    var path: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
  }

  /// One connection on the server's side.
  final class Connection: Sendable {
    let fd: Int32
    private let buffer = Mutex<[UInt8]>([])

    init(fd: Int32) { self.fd = fd }

    func readSome() -> [UInt8]? {
      let kept = buffer.withLock { buffer in
        defer { buffer = [] }
        return buffer
      }
      if !kept.isEmpty { return kept }
      var bytes = [UInt8](repeating: 0, count: 16_384)
      let count = Glibc.read(fd, &bytes, bytes.count)
      return count > 0 ? Array(bytes[..<count]) : nil
    }

    func readLine() -> String? {
      var line: [UInt8] = []
      while let bytes = readSome() {
        if let end = bytes.firstIndex(of: 0x0A) {
          line += bytes[..<end]
          let rest = Array(bytes[(end + 1)...])
          buffer.withLock { $0 = rest + $0 }
          return String(decoding: line, as: UTF8.self).trimmingCharacters(in: .newlines)
        }
        line += bytes
      }
      return nil
    }

    func read(exactly count: Int) -> [UInt8]? {
      var bytes: [UInt8] = []
      while bytes.count < count {
        guard let more = readSome() else { return nil }
        bytes += more
      }
      let rest = Array(bytes[count...])
      buffer.withLock { $0 = rest + $0 }
      return Array(bytes[..<count])
    }

    /// nil: the client has gone.
    func readRequest() -> Request? {
      guard let first = readLine() else { return nil }
      let words = first.split(separator: " ")
      guard words.count == 3 else { return nil }
      var request = Request(method: String(words[0]), path: String(words[1]), headers: [], body: [])
      while let line = readLine(), !line.isEmpty {
        let parts = line.split(separator: ":", maxSplits: 1)
        let value = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        request.headers.append((String(parts[0]), value))
      }
      if let length = request.header("Content-Length").flatMap({ Int($0) }) {
        guard let body = read(exactly: length) else { return nil }
        request.body = body
      } else if request.header("Transfer-Encoding") == "chunked" {
        while let line = readLine(), let size = Int(line, radix: 16) {
          guard let chunk = read(exactly: size), readLine() != nil else { return nil }
          if size == 0 { break }
          request.body += chunk
        }
      }
      return request
    }

    /// False when the client has gone.
    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }

    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult
    func reply(_ body: String, status: String = "200 OK", headers: String = "") -> Bool {
      write("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\(headers)\r\n\(body)")
    }

    @discardableResult
    func writeChunk(_ bytes: [UInt8]) -> Bool {
      write(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + [0x0D, 0x0A])
    }
  }

  private struct State {
    var accepted = 0
    var open: Set<Int32> = []
    var isStopping = false
  }

  let path: String?
  let port: Int
  private let listener: Int32
  private let state = Mutex(State())
  /// A message for each connection that the handler has left.
  let departures: AsyncStream<Void>
  private let departed: AsyncStream<Void>.Continuation

  /// Connections so far.
  var accepted: Int { state.withLock { $0.accepted } }

  /// Whether a connection is open, or waits to be accepted.
  var isBusy: Bool {
    if state.withLock({ !$0.open.isEmpty }) { return true }
    var listening = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
    return poll(&listening, 1, 0) > 0
  }

  /// The handler is called for each connection and closes it by returning.
  init(_ place: Place, handler: @escaping @Sendable (Connection) -> Void) throws {
    (departures, departed) = AsyncStream.makeStream()
    switch place {
    case .unix:
      let path = "/tmp/curltest-\(UUID().uuidString).sock"
      self.path = path
      port = 0
      listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
      }
      guard status == 0 else { throw POSIXError(.EADDRINUSE) }
    case .tcp:
      path = nil
      listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      let fd = listener
      let status = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
          let status = bind(fd, pointer, length)
          getsockname(fd, pointer, &length)
          return status
        }
      }
      guard status == 0 else { throw POSIXError(.EADDRINUSE) }
      port = Int(UInt16(bigEndian: address.sin_port))
    }
    guard listen(listener, 128) == 0 else { throw POSIXError(.EADDRINUSE) }
    Thread { [self] in accept(handler) }.start()
  }

  private func accept(_ handler: @escaping @Sendable (Connection) -> Void) {
    while true {
      let fd = Glibc.accept(listener, nil, nil)
      guard fd >= 0 else { break }
      let isStopping = state.withLock { state in
        state.accepted += 1
        state.open.insert(fd)
        return state.isStopping
      }
      if isStopping {
        Glibc.close(fd)
        break
      }
      Thread { [self] in
        handler(Connection(fd: fd))
        state.withLock { state in
          state.open.remove(fd)
          Glibc.close(fd)
        }
        departed.yield()
      }.start()
    }
    Glibc.close(listener)
  }

  func stop() {
    state.withLock { state in
      state.isStopping = true
      for fd in state.open { shutdown(fd, Int32(SHUT_RDWR)) }
    }
    shutdown(listener, Int32(SHUT_RDWR))
    if let path { unlink(path) }
  }

  /// Where the server is, for a request's URL.
  func url(_ path: String = "/") -> String { self.path == nil ? "http://127.0.0.1:\(port)\(path)" : "http://localhost\(path)" }

  /// Answers every request with its method, path and body.
  static func echo(_ place: Place) throws -> TestServer {
    try TestServer(place) { connection in
      while let request = connection.readRequest() {
        connection.reply("\(request.method) \(request.path) \(String(decoding: request.body, as: UTF8.self))")
      }
    }
  }
}
