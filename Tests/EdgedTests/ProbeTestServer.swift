import Glibc
import Synchronization

/// A TCP server on the loopback interface that speaks what a test makes it speak, with blocking calls on threads of its own.
final class ProbeTestServer: Sendable {
  struct Connection: Sendable {
    let descriptor: Int32

    var localPort: Int {
      var address = sockaddr_in()
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutablePointer(to: &address) { pointer in
        _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
      }
      return Int(UInt16(bigEndian: address.sin_port))
    }

    /// The next bytes; empty at the end.
    func read(_ limit: Int = 4096) -> [UInt8] {
      var buffer = [UInt8](repeating: 0, count: limit)
      let count = recv(descriptor, &buffer, limit, 0)
      return count > 0 ? Array(buffer.prefix(count)) : []
    }

    func read(exactly count: Int) -> [UInt8]? {
      var bytes: [UInt8] = []
      while bytes.count < count {
        let more = read(count - bytes.count)
        if more.isEmpty { return nil }
        bytes += more
      }
      return bytes
    }

    /// The request line and the headers.
    func readHead() -> String {
      var bytes: [UInt8] = []
      while !bytes.ends(with: Array("\r\n\r\n".utf8)) {
        let next = read(1)
        if next.isEmpty { break }
        bytes += next
      }
      return String(decoding: bytes, as: UTF8.self)
    }

    /// False once the other side is gone.
    @discardableResult func write(_ bytes: [UInt8]) -> Bool {
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }

    @discardableResult func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    /// Waits until the other side ends the connection.
    func waitForEnd() {
      while !read().isEmpty {}
    }
  }

  let port: Int
  private let listener: Int32
  private let open = Mutex<Set<Int32>>([])
  private let log: RequestLog

  /// The heads that HTTP handlers have read.
  var requests: [String] { log.heads.withLock { $0 } }
  var targets: [String] { requests.map { String($0.split(separator: " ")[1]) } }

  /// - Parameter handler: serves one connection, which ends when it returns.
  convenience init(_ handler: @escaping @Sendable (Connection) -> Void) throws { try self.init(log: RequestLog(), handler) }

  private init(log: RequestLog, _ handler: @escaping @Sendable (Connection) -> Void) throws {
    self.log = log
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
      }
    }
    guard bound else {
      close(listener)
      throw ServerError(code: errno)
    }
    port = Int(UInt16(bigEndian: address.sin_port))
    Self.onThread { [self] in
      while true {
        let descriptor = accept(listener, nil, nil)
        if descriptor < 0 { break }
        open.withLock { _ = $0.insert(descriptor) }
        Self.onThread { [self] in
          handler(Connection(descriptor: descriptor))
          open.withLock {
            _ = $0.remove(descriptor)
            shutdown(descriptor, Int32(SHUT_RDWR))
            close(descriptor)
          }
        }
      }
      close(listener)
    }
  }

  /// One HTTP request a connection; `answer` gets its target and writes the response.
  convenience init(http answer: @escaping @Sendable (_ target: String, Connection) -> Void) throws {
    let log = RequestLog()
    try self.init(log: log) { connection in
      let head = connection.readHead()
      guard !head.isEmpty else { return }
      log.heads.withLock { $0.append(head) }
      answer(String(head.split(separator: " ")[1]), connection)
    }
  }

  /// The same, but what doesn't begin like a GET is left to `answer` unread.
  convenience init(peeking answer: @escaping @Sendable (_ first: UInt8, Connection) -> Void) throws {
    let log = RequestLog()
    try self.init(log: log) { connection in
      var first: UInt8 = 0
      guard recv(connection.descriptor, &first, 1, Int32(MSG_PEEK)) == 1 else { return }
      if first == UInt8(ascii: "G") {
        let head = connection.readHead()
        log.heads.withLock { $0.append(head) }
      }
      answer(first, connection)
    }
  }

  private final class RequestLog: Sendable { let heads = Mutex<[String]>([]) }

  func stop() {
    shutdown(listener, Int32(SHUT_RDWR))
    open.withLock { for descriptor in $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } }
  }

  /// A port of the loopback interface where nobody listens.
  static func closedPort() throws -> Int {
    let server = try ProbeTestServer { _ in }
    server.stop()
    return server.port
  }

  private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Blocking calls must not take the threads that tasks run on.
  private static func onThread(_ run: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let work = Unmanaged.passRetained(Work(run))
    let failed = pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer else { return nil }
        Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, work.toOpaque())
    if failed == 0 { pthread_detach(thread) } else { work.release() }
  }

  struct ServerError: Error { var code: Int32 }
}

extension Array where Element: Equatable {
  fileprivate func ends(with suffix: [Element]) -> Bool { count >= suffix.count && Array(self.suffix(suffix.count)) == suffix }
}
