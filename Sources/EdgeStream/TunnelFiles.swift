import Core
import Glibc
import WebSocket

/// The files with which the node proves itself to the cloud. EdgeHub makes them, and replaces them while the agent runs.
struct TunnelFiles: Sendable {
  struct Failure: Error, Sendable, CustomStringConvertible {
    /// There is no such file, as before the node has joined.
    var isMissing: Bool
    var description: String
  }

  private static let limit = 1 << 20

  let ca: String
  let certificate: String
  let key: String

  init(_ configuration: EdgeStreamConfiguration) {
    ca = configuration.tlsTunnelCAFile
    certificate = configuration.tlsTunnelCertFile
    key = configuration.tlsTunnelPrivateKeyFile
  }

  func load() throws(Failure) -> ClientCredentials {
    ClientCredentials(ca: try Self.read(ca), certificate: try Self.read(certificate), key: try Self.read(key))
  }

  private static func read(_ path: String) throws(Failure) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += buffer[..<count]
      guard bytes.count <= limit else {
        throw Failure(isMissing: false, description: "\(path) is longer than the \(limit) bytes that are allowed")
      }
    }
  }

  private static func failure(_ path: String) -> Failure {
    let number = errno
    return Failure(
      isMissing: number == ENOENT || number == ENOTDIR, description: "can't read \(path): \(String(cString: strerror(number)))")
  }
}
