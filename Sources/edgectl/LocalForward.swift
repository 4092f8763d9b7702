import Glibc

/// Listens on a port of 127.0.0.1, and carries each connection through the agent's socket. Blocking calls on threads of their own: the
/// system holds up whoever is ahead of the other side.
struct LocalForward: Sendable {
  var socketPath: String
  /// The request target that becomes a connection to the pod.
  var target: String
  var failed: @Sendable (String) -> Void

  /// Accepts connections until the process ends.
  func run(port: UInt16, listening: (UInt16) -> Void) throws {
    signal(SIGPIPE, SIG_IGN)
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var reuse: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &reuse, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, address, &length) == 0
      }
    }
    guard isListening else { throw CommandFailure("can't listen on 127.0.0.1:\(port): \(String(cString: strerror(errno)))") }
    listening(UInt16(bigEndian: address.sin_port))
    fflush(nil)
    while true {
      let client = accept(listener, nil, nil)
      if client < 0 {
        if errno == EINTR || errno == ECONNABORTED { continue }
        throw CommandFailure("can't accept connections: \(String(cString: strerror(errno)))")
      }
      Self.onThread { carry(client) }
    }
  }

  private func carry(_ client: Int32) {
    defer { close(client) }
    let agent: Int32
    do {
      agent = try connect()
    } catch {
      return failed("\(error)")
    }
    defer { close(agent) }
    let answers = OneWayCopy(from: agent, to: client)
    let requests = OneWayCopy(from: client, to: agent)
    Self.onThread { requests.run() }
    answers.run()
    // The pod has said all; whatever the client still sends has no reader.
    shutdown(client, Int32(SHUT_RDWR))
    requests.wait()
  }

  /// A connection to the pod's port.
  private func connect() throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard socketPath.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw CommandFailure("the socket's path is too long")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
    let agent = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(agent, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    do {
      guard result == 0 else { throw CommandFailure("can't reach the agent at \(socketPath): \(String(cString: strerror(errno)))") }
      let request = "GET \(target) HTTP/1.1\r\nHost: edgecore\r\nConnection: Upgrade\r\nUpgrade: edgecore-stream\r\n\r\n"
      guard Self.write(Array(request.utf8)[...], to: agent) else { throw CommandFailure("the agent ended the connection") }
      // Byte by byte: what comes behind the head is the pod's.
      var head: [UInt8] = []
      var byte: UInt8 = 0
      while head.count < 16 << 10, !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
        guard read(agent, &byte, 1) == 1 else { break }
        head.append(byte)
      }
      guard head.starts(with: "HTTP/1.1 101 ".utf8) else {
        var body = [UInt8](repeating: 0, count: 4096)
        let count = max(0, read(agent, &body, body.count))
        let text = String(decoding: body[..<count], as: UTF8.self).trimmed
        throw CommandFailure(text.isEmpty ? "the agent ended the connection" : text)
      }
      return agent
    } catch {
      close(agent)
      throw error
    }
  }

  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) {
    final class Box {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let box = Unmanaged.passRetained(Box(body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body() }
        return nil
      }, box.toOpaque())
    if code == 0 { pthread_detach(thread) } else { box.release() }
  }
}

/// Copies one direction of a connection, and passes its end on.
private final class OneWayCopy: Sendable {
  private let source: Int32
  private let destination: Int32
  /// A pipe whose end is the end of the copying.
  private let ends: (read: Int32, write: Int32)

  init(from source: Int32, to destination: Int32) {
    self.source = source
    self.destination = destination
    var descriptors: [Int32] = [-1, -1]
    pipe(&descriptors)
    ends = (descriptors[0], descriptors[1])
  }

  deinit { close(ends.read) }

  func run() {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(source, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0, LocalForward.write(buffer[..<count], to: destination) else { break }
    }
    shutdown(destination, Int32(SHUT_WR))
    close(ends.write)
  }

  /// Returns when copying has ended.
  func wait() {
    var byte: UInt8 = 0
    while read(ends.read, &byte, 1) < 0, errno == EINTR {}
  }
}
