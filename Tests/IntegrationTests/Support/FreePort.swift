import Glibc

/// Ports of 127.0.0.1.
enum FreePort {
  /// One that nobody listens on now.
  static func find() throws -> UInt16 {
    let (descriptor, port) = try listen(0)
    close(descriptor)
    return port
  }

  /// Listens on a port (0: any), so that nobody else can.
  static func listen(_ port: UInt16) throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && Glibc.listen(descriptor, 1) == 0 && getsockname(descriptor, address, &length) == 0
      }
    }
    guard result else {
      let code = errno
      close(descriptor)
      throw Shell.Failure(description: "port \(port): \(String(cString: strerror(code)))")
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
  }
}
