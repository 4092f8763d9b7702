import CLinux
import FoundationEssentials
import Glibc
import Runtime
import Synchronization

/// A connected socket, closed with its last owner unless it was handed on.
final class PodSocket: Sendable {
  private let descriptor: Mutex<Int32>

  init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

  deinit {
    let open = descriptor.withLock { $0 }
    if open >= 0 { close(open) }
  }

  /// Hands the socket to somebody who closes it.
  func release() throws(FileError) -> Int32 {
    let open = descriptor.withLock { descriptor in
      defer { descriptor = -1 }
      return descriptor
    }
    guard open >= 0 else { throw FileError("use", "a pod's socket", code: EBADF) }
    return open
  }
}

/// The network that a pod's containers share, told by a process that is in it.
struct PodNetwork: Sendable {
  var process: Int32
  var sandboxID: String

  private static let connectTime = 10

  /// Connects to a port on the pod's own loopback interface, where also those servers can be reached that listen nowhere else.
  static func connect(port: UInt16, inSandbox sandboxID: String, of runtime: any ContainerRuntime) async throws -> PodSocket {
    guard let process = try await runtime.sandboxProcess(sandboxID) else {
      throw RuntimeError(.failedPrecondition, operation: "PortForward", message: "sandbox \(sandboxID) doesn't run")
    }
    let network = PodNetwork(process: process, sandboxID: sandboxID)
    // The thread stays in the pod's network, so nobody else may use it.
    return try await onOwnThread("pod network") { try network.enterAndConnect(port) }
  }

  private func enterAndConnect(_ port: UInt16) throws -> PodSocket {
    let namespace = try OpenFile("/proc/\(process)/ns/net", O_RDONLY, operation: "find the network of the pod's process")
    // By now the number may be another process's.
    let groups = (try? Data(contentsOf: URL(filePath: "/proc/\(process)/cgroup"))) ?? Data()
    guard String(decoding: groups, as: UTF8.self).contains(sandboxID) else { throw FileError("find", "/proc/\(process)", code: ESRCH) }
    guard clinux_enter_network(namespace.descriptor) == 0 else {
      throw FileError("enter network of process", "\(process)", code: errno)
    }
    let code: Int32
    switch Self.connect(port, isIPv6: false) {
    case .success(let socket): return PodSocket(socket)
    case .failure(let error): code = error.code
    }
    if case .success(let socket) = Self.connect(port, isIPv6: true) { return PodSocket(socket) }
    throw FileError("connect", "localhost:\(port) inside the pod", code: code)
  }

  private static func connect(_ port: UInt16, isIPv6: Bool) -> Result<Int32, FileError> {
    let place = "localhost:\(port)"
    let descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return .failure(FileError("open socket", place, code: errno)) }
    var limit = timeval(tv_sec: connectTime, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let result: Int32
    if isIPv6 {
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &address.sin6_addr) { $0[15] = 1 }
      result = call(descriptor, &address)
    } else {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      result = call(descriptor, &address)
    }
    guard result == 0 else {
      let code = errno
      close(descriptor)
      return .failure(FileError("connect", place, code: code))
    }
    return .success(descriptor)
  }

  private static func call<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size)) }
    }
  }
}
